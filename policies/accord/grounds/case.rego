package accord.grounds

# METADATA
# title: The question belongs to a case, where the purpose asks for one
default case_named := false

case_named if purpose.case_required == false

case_named if {
	purpose.case_required == true
	is_string(input.request.case_token)
	count(input.request.case_token) == 64
}

# METADATA
# title: The case is not known to be closed
default case_not_closed := false

case_not_closed if input.state.case in {"open", "not_checked"}

# METADATA
# title: The ledger can record what happens
default ledger_fresh := false

ledger_fresh if input.state.ledger == "fresh"

# METADATA
# title: The ledger is at least in its period of grace
default ledger_not_stale := false

ledger_not_stale if input.state.ledger in {"fresh", "grace"}

# METADATA
# title: The emergency route is not claimed
# description: The emergency route (break-glass) has no rules yet, so claiming it refuses.
default ordinary_route := false

ordinary_route if input.break_glass.claimed == false
