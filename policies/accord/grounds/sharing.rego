package accord.grounds

# METADATA
# title: The sharing agreements in force between the two agencies that cover this question and purpose
# description: >
#   The bundle's index lists the sharing agreements of each pair. The broker looks at the one that was named; a node is not
#   told which and looks at all of the pair.
sharing_agreements(target) := {id |
	some id in data.accord.data.isa_index[input.requester.agency_id][target.responder.agency_id]
	isa_named(target.isa_id, id) == true
	isa := data.accord.data.isa[id]
	isa.effective_from_ns <= data.accord.grounds.at
	data.accord.grounds.at < isa.effective_to_ns
	is_number(target.responder.isa_until_ns)
	data.accord.grounds.at < target.responder.isa_until_ns
	isa.questions[input.request.question_id] == true
	isa.purposes[input.request.purpose] == true
}

# METADATA
# title: A sharing agreement covers the question, or there is an emergency
# description: Agencies need a contract for what is routine, and none to save a child.
# custom: {code: ISA_EXPIRED}
default shared(_, _) := false

shared(_, sharing) if count(sharing) > 0

shared(purpose, _) if purpose.break_glass == true

# METADATA
# title: The sharing agreement is the one claimed; an agency is not told which, and looks at all of its own
default isa_named(_, _) := false

isa_named(named, id) if {
	input.entrypoint == "query"
	named == id
}

isa_named(null, _) if input.entrypoint == "node"
