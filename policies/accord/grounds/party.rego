package accord.grounds

# METADATA
# title: Both agencies are taking part
# custom: {code: AGENCY_SUSPENDED}
default taking_part(_) := false

taking_part(responder) if {
	responder.suspended == false
	input.requester.suspended == false
}

# METADATA
# title: Ordinary and law-enforcement data protection rules are not mixed
# description: >
#   Part 2 and Part 3 of the Data Protection Act 2018 never meet in one question, and the lawful basis goes with them. A node
#   is not told the basis.
# custom: {code: REGIME_MIXED}
default one_regime(_) := false

one_regime(target) if {
	count(data.accord.grounds.regimes) == 1
	regime_fits_basis(target.responder.regime, target.art6) == true
}

# METADATA
# title: The rules under which the agencies of this question work
regimes := {t.responder.regime | some t in input.targets} | {input.requester.regime}

# METADATA
# title: The lawful basis belongs to the rules under which the agency works
default regime_fits_basis(_, _) := false

regime_fits_basis("part2", art6) if art6 in {"a", "c", "d", "e", "ea", "f"}

regime_fits_basis("part3", "part3") := true

regime_fits_basis(regime, null) if {
	input.entrypoint == "node"
	regime in {"part2", "part3"}
}

# METADATA
# title: Both agencies' impact assessments are in date
# custom: {code: DPIA_EXPIRED}
default dpia_in_date(_) := false

dpia_in_date(responder) if {
	is_number(responder.dpia_until_ns)
	data.accord.grounds.at < responder.dpia_until_ns
	is_number(input.requester.dpia_until_ns)
	data.accord.grounds.at < input.requester.dpia_until_ns
}
