package accord.grounds

# METADATA
# title: The agencies have a sharing agreement in force for this question and purpose
# description: >
#   The index of the bundle lists the sharing agreements of each pair. The broker checks the one that was named; a node is
#   not told which and accepts any that covers the question.
sharing_agreement[t.responder.agency_id] contains id if {
	some t in input.targets
	some id in data.accord.data.isa_index[input.requester.agency_id][t.responder.agency_id]
	isa_named(t.isa_id, id)
	row := data.accord.data.isa[id]
	row.effective_from_ns <= at
	at < row.effective_to_ns
	is_number(t.responder.isa_until_ns)
	at < t.responder.isa_until_ns
	some q in row.questions
	q == input.request.question_id
	some p in row.purposes
	p == input.request.purpose
}

isa_named(named, id) if {
	input.entrypoint == "query"
	named == id
}

isa_named(named, _) if {
	input.entrypoint == "node"
	named == null
}

# METADATA
# title: Covered by a sharing agreement
sharing_covers contains id if some id, _ in sharing_agreement

# METADATA
# title: Both agencies' impact assessments are in date
dpia_in_date contains t.responder.agency_id if {
	some t in input.targets
	is_number(t.responder.dpia_until_ns)
	at < t.responder.dpia_until_ns
	is_number(input.requester.dpia_until_ns)
	at < input.requester.dpia_until_ns
}
