package accord.grounds

# METADATA
# title: The role of the person asking
role := data.accord.data.roles[input.user.role]

# METADATA
# title: This role may ask this question
default role_allowed := false

role_allowed if {
	role.may_ask == true
	role.rank >= data.accord.data.roles[question.min_role].rank
}

# METADATA
# title: The person signed in strongly and recently enough
default signed_in := false

signed_in if {
	is_number(input.user.aal)
	input.user.aal >= data.accord.data.limits.min_aal
	is_number(input.user.auth_age_s)
	input.user.auth_age_s >= 0
	input.user.auth_age_s <= data.accord.data.limits.auth_max_age_s
}
