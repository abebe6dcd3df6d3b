package accord.grounds

# METADATA
# title: What part an agreement plays
# description: required, not_operative or not_applicable, as the purpose or the gateway claimed says.
agreement_mode[t.responder.agency_id] := "required" if {
	some t in input.targets
	needs_agreement(t.gateway_id)
}

agreement_mode[t.responder.agency_id] := purpose.agreement if {
	some t in input.targets
	purpose.agreement != "required"
	data.accord.data.gateways[t.gateway_id].type != "agreement"
}

needs_agreement(_) if purpose.agreement == "required"

needs_agreement(gateway_id) if data.accord.data.gateways[gateway_id].type == "agreement"

# METADATA
# title: Agreements that name the question, the purpose and both agencies
in_scope[t.responder.agency_id] contains [a.record_id, a.subject_ref] if {
	some t in input.targets
	some a in input.agreements
	some q in a.questions
	q == input.request.question_id
	some p in a.purposes
	p == input.request.purpose
	some asker in a.requesters
	asker == input.requester.agency_id
	some holder in a.responders
	holder == t.responder.agency_id
}

# METADATA
# title: Agreements given and not ended
# description: An agreement is looked at once for each person it is shown for, so a record counts as [record, person].
given contains [a.record_id, a.subject_ref] if {
	some a in input.agreements
	a.kind == "service_agreement"
	a.state in {"ConsentGiven", "RenewedConsentGiven"}
	a.withdrawn_at_ns == null
}

# METADATA
# title: Agreements in date
in_date contains [a.record_id, a.subject_ref] if {
	some a in input.agreements
	is_number(a.valid_from_ns)
	a.valid_from_ns <= at
	a.valid_to_ns == null
}

in_date contains [a.record_id, a.subject_ref] if {
	some a in input.agreements
	is_number(a.valid_from_ns)
	a.valid_from_ns <= at
	is_number(a.valid_to_ns)
	at < a.valid_to_ns
}

# METADATA
# title: Agreements given by somebody who could give them
# description: >
#   An adult agrees for themself, and never for another adult. A child agrees if competent; otherwise somebody who holds
#   parental responsibility, or a court. At 18 what others agreed ends.
right_giver contains [a.record_id, a.subject_ref] if {
	some a in input.agreements
	some s in input.subjects
	s.ref == a.subject_ref
	may_give(a.given_by, s)
}

may_give("self", s) if s.role != "child"

may_give("self", s) if {
	s.role == "child"
	s.competence == "competent"
}

may_give(giver, s) if {
	giver in {"parent", "other_pr_holder", "court_order"}
	s.role == "child"
	s.age_band != "18_plus"
}

# METADATA
# title: Agreements that nobody objects to
no_objection contains [a.record_id, a.subject_ref] if {
	some a in input.agreements
	a.objection in {"none", "overridden"}
}

# METADATA
# title: Agreements that hold, whichever agency is asked
holding := ((given & in_date) & right_giver) & no_objection

# METADATA
# title: People covered towards each agency by an agreement that holds
covered[agency] contains key[1] if {
	some agency, keys in in_scope
	some key in (keys & holding)
}

# METADATA
# title: The people asked about
people contains s.ref if some s in input.subjects

# METADATA
# title: People not covered, agency by agency
uncovered[agency] contains ref if {
	some agency, ids in covered
	agreement_mode[agency] == "required"
	some ref in (people - ids)
}

uncovered[agency] contains ref if {
	some agency in (responders - {id | some id, _ in covered})
	agreement_mode[agency] == "required"
	some ref in people
}

# METADATA
# title: Agencies for which agreements are not needed, or cover everybody
agreement_settled contains id if {
	some id, mode in agreement_mode
	mode in {"not_operative", "not_applicable"}
}

agreement_settled contains id if {
	some id, refs in covered
	agreement_mode[id] == "required"
	count(people) > 0
	count(people - refs) == 0
}

# METADATA
# title: The agreements relied on
agreements_used[agency] contains key[0] if {
	some agency, keys in in_scope
	agreement_mode[agency] == "required"
	some key in (keys & holding)
}
