package accord.grounds

# METADATA
# title: Both agencies are taking part
taking_part contains t.responder.agency_id if {
	some t in input.targets
	t.responder.suspended == false
	input.requester.suspended == false
}

# METADATA
# title: Ordinary and law-enforcement data protection rules are not mixed
# description: Part 2 and Part 3 of the Data Protection Act 2018 never meet in one question.
one_regime contains t.responder.agency_id if {
	some t in input.targets
	count({r | some u in input.targets; r := u.responder.regime} | {input.requester.regime}) == 1
	regime_fits_basis(t.responder.regime, t.art6)
}

regime_fits_basis(regime, _) if {
	input.entrypoint == "node"
	regime in {"part2", "part3"}
}

regime_fits_basis("part2", art6) if {
	input.entrypoint == "query"
	art6 != "part3"
}

regime_fits_basis("part3", art6) if {
	input.entrypoint == "query"
	art6 == "part3"
}
