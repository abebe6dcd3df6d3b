package accord.grounds

# METADATA
# title: The ordinary route is taken, or the emergency route with a reason of the list
# description: The purpose and the claim belong together, so that neither opens the route by itself.
# custom: {code: BREAK_GLASS_GROUND}
default emergency_settled(_, _) := false

emergency_settled(purpose, claim) if {
	purpose.break_glass == false
	claim.claimed == false
	claim.ground == "none"
}

emergency_settled(purpose, claim) if {
	purpose.break_glass == true
	claim.claimed == true
	claim.supervisor_notified == true
	is_string(data.accord.data.limits.break_glass_grounds[claim.ground])
}

# METADATA
# title: In an emergency the supervisor who was told is named, and is somebody else
# custom: {code: BREAK_GLASS_GROUND}
default supervisor_told(_, _) := false

supervisor_told(purpose, _) if purpose.break_glass == false

supervisor_told(_, user) if somebody_else(user.supervisor_token, user.token) == true

# METADATA
# title: Two tokens of two people
default somebody_else(_, _) := false

somebody_else(one, other) if {
	is_string(one)
	count(one) == 64
	is_string(other)
	count(other) == 64
	one != other
}

# METADATA
# title: No emergency of this agency waits for its review beyond its day
# custom: {code: BREAK_GLASS_OVERDUE}
default reviews_done(_, _) := false

reviews_done(purpose, _) if purpose.break_glass == false

reviews_done(_, state) if state.break_glass_overdue == 0

# METADATA
# title: The gateway is not tied to an emergency, or to the one that was stated
# custom: {code: BREAK_GLASS_GROUND}
default emergency_fits(_) := false

emergency_fits(gateway) if count(gateway.break_glass_grounds) == 0

emergency_fits(gateway) if {
	some ground in gateway.break_glass_grounds
	ground == input.break_glass.ground
}
