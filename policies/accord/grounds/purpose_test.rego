package accord.grounds_test

test_a_purpose_the_question_does_not_list_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/purpose", "curiosity"), "police") == {"PURPOSE_NOT_ALLOWED"}
}

test_a_listed_purpose_that_the_question_does_not_list_is_refused if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"purposes": ["early_help"]}})
	word == {"PURPOSE_NOT_ALLOWED"}
}

test_a_purpose_not_in_force_is_refused if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.purposes as object.union(data.accord.data.purposes, {"s47_enquiry": {"effective_from_ns": 1795310625000000001}})
	word == {"PURPOSE_NOT_ALLOWED"}
}

test_a_purpose_in_force_from_this_instant_is_allowed if {
	word := data.accord.examples.asked(data.accord.examples.s47_enquiry, "police") with data.accord.data.purposes as object.union(data.accord.data.purposes, {"s47_enquiry": {"effective_from_ns": 1795310625000000000}})
	word.allow == true
}
