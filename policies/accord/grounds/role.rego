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
default signed_in(_) := false

signed_in(user) if {
	is_number(user.aal)
	user.aal >= data.accord.data.limits.min_aal
	is_number(user.auth_age_s)
	user.auth_age_s >= 0
	user.auth_age_s <= data.accord.data.limits.auth_max_age_s
}
