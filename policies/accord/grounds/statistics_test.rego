package accord.grounds_test

# A table that a catalogue could declare, under a purpose that is in force.
table := json.patch(data.accord.examples.s47_enquiry, [
	{"op": "replace", "path": "/request/purpose", "value": "statistics"},
	{"op": "replace", "path": "/request/need_tier", "value": null},
	{"op": "replace", "path": "/request/case_token", "value": null},
	{"op": "replace", "path": "/request/subject_kind", "value": "none"},
	{"op": "replace", "path": "/subjects", "value": []},
	{"op": "replace", "path": "/told/state", "value": "n_a"},
	{"op": "replace", "path": "/targets/0/gateway_id", "value": "statistics_public_task"},
	{"op": "replace", "path": "/targets/0/art6", "value": "e"},
])

counting(question) := word if {
	contact := data.accord.data.catalogue.questions["agency.contact"]
	declared := object.union(contact, {"subjects": ["none"], "purposes": array.concat(contact.purposes, ["statistics"])})
	purposes := object.union(data.accord.data.purposes, {"statistics": {"effective_from_ns": 0}})
	gateways := object.union(data.accord.data.gateways, {"statistics_public_task": {"effective_from_ns": 0}})
	isa := object.union(data.accord.data.isa, {"midshire-children": {"purposes": {"statistics": true}}})
	word := data.accord.query.decision.by_target.housing with input as question
		with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": declared})
		with data.accord.data.purposes as purposes
		with data.accord.data.gateways as gateways
		with data.accord.data.isa as isa
		with data.accord.query.own_permit as true
		with data.accord.query.own_refusals as set()
}

counted(path, value) := {d.code | some d in counting(data.accord.examples.changed(table, path, value)).denials}

test_law_18_a_declared_table_without_anybody_is_allowed if {
	counting(table).allow == true
	counting(table).subjects == []
	counting(table).agreement.mode == "not_applicable"
}

test_law_18_statistics_name_nobody if {
	counted("/subjects", [data.accord.examples.s47_enquiry.subjects[0]]) == {"STATISTICS_NAMED_PERSON"}
	counted("/agreements", data.accord.examples.early_help.agreements) == {"STATISTICS_NAMED_PERSON"}
	counted("/request/case_token", data.accord.examples.s47_enquiry.request.case_token) == {"STATISTICS_NAMED_PERSON"}
}

test_law_18_statistics_have_no_filter_of_their_own if {
	counted("/request/subject_kind", "address") == {"INPUT_INVALID", "STATISTICS_UNDECLARED"}
	counted("/request/subject_kind", "person") == {"INPUT_INVALID", "STATISTICS_UNDECLARED"}
}

test_law_18_a_question_about_people_is_no_table if {
	purposes := object.union(data.accord.data.purposes, {"statistics": {"effective_from_ns": 0}})
	word := data.accord.query.decision.by_target.housing with input as table with data.accord.data.purposes as purposes
	word.allow == false
	"STATISTICS_UNDECLARED" in {d.code | some d in word.denials}
}

test_law_18_the_purpose_is_not_in_force_as_shipped if {
	"PURPOSE_NOT_ALLOWED" in data.accord.examples.codes(table, "housing")
}

test_law_18_every_other_purpose_is_about_somebody if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.emergency, "/subjects", []), "housing") & {"NO_CHILD_IN_QUESTION"} == {"NO_CHILD_IN_QUESTION"}
}
