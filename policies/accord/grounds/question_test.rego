package accord.grounds_test

test_an_unknown_question_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/question_id", "agency.secrets"), "police") == {"QUESTION_UNKNOWN"}
}

test_an_unknown_question_with_three_parts_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/question_id", "agency.contact.more"), "police") == {"QUESTION_UNKNOWN"}
}

test_a_version_that_never_was_is_refused if {
	"QUESTION_UNKNOWN" in data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/question_version", 2), "police")
}

test_an_older_version_is_retired if {
	word := data.accord.examples.codes(data.accord.examples.early_help, "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"version": 2}})
	word == {"QUESTION_RETIRED"}
}

test_a_replaced_question_is_retired if {
	word := data.accord.examples.codes(data.accord.examples.early_help, "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"deprecated_by": "agency.open_now"}})
	word == {"QUESTION_RETIRED"}
}

test_an_agency_that_does_not_answer_it_is_refused if {
	word := data.accord.examples.codes(data.accord.examples.early_help, "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"owners": ["housing"]}})
	word == {"QUESTION_UNKNOWN"}
}

test_another_form_of_answer_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/answer_form", "boolean"), "police") == {"INPUT_INVALID"}
}

test_another_kind_of_subject_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/subject_kind", "address"), "police") == {"INPUT_INVALID"}
}
