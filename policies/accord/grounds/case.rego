package accord.grounds

# METADATA
# title: The question belongs to a case, where the purpose asks for one
# custom: {code: CASE_MISSING}
default case_named(_) := false

case_named(purpose) if purpose.case_required == false

case_named(_) if {
	is_string(input.request.case_token)
	count(input.request.case_token) == 64
}

# METADATA
# title: The case is not known to be closed
# custom: {code: CASE_CLOSED}
default case_not_closed(_) := false

case_not_closed(state) if state.case in {"open", "not_checked"}
