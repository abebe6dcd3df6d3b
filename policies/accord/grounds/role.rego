package accord.grounds

# METADATA
# title: This role may ask this question
# custom: {code: ROLE_NARROWER}
default role_allowed(_) := false

role_allowed(question) if {
	role := data.accord.data.roles[input.user.role]
	role.may_ask == true
	role.rank >= data.accord.data.roles[question.min_role].rank
}

# METADATA
# title: The person signed in strongly and recently enough
# custom: {code: STEP_UP_REQUIRED}
default signed_in(_, _) := false

signed_in(purpose, user) if {
	is_number(user.aal)
	user.aal >= data.accord.data.limits.min_aal
	is_number(user.auth_age_s)
	user.auth_age_s >= 0
	user.auth_age_s <= longest_sign_in(purpose)
}

# METADATA
# title: How long ago the person may have signed in, seconds
longest_sign_in(purpose) := data.accord.data.limits.auth_max_age_s if purpose.break_glass == false

longest_sign_in(purpose) := data.accord.data.limits.break_glass_auth_max_age_s if purpose.break_glass == true
