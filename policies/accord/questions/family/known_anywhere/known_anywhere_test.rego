package accord.questions.family.known_anywhere_test

asked := data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/question_id", "family.known_anywhere"), "/request/answer_form", "boolean")

test_a_family_may_be_asked_about if {
	data.accord.questions.family.known_anywhere.permit == true with input as asked
	data.accord.examples.asked(asked, "police").allow == true
	data.accord.examples.asked(asked, "housing").allow == true
}

test_one_person_is_no_family if {
	alone := data.accord.examples.changed(asked, "/subjects", [asked.subjects[0]])
	data.accord.questions.family.known_anywhere.permit == false with input as alone
	data.accord.examples.codes(data.accord.examples.changed(alone, "/request/subject_kind", "person"), "police") == {"INPUT_INVALID"}
}

test_nobody_is_no_family if {
	data.accord.questions.family.known_anywhere.permit == false with input as data.accord.examples.changed(asked, "/subjects", [])
}

test_the_empty_question_is_not_permitted if {
	data.accord.questions.family.known_anywhere.permit == false with input as {}
}

test_without_data_it_is_not_permitted if {
	count([1 | word := data.accord.query.decision with input as asked with data.accord.data as {}; word.by_target.housing.allow == true]) == 0
}

test_another_question_is_not_this_one if {
	data.accord.questions.family.known_anywhere.permit == false with input as data.accord.examples.changed(asked, "/request/question_id", "family.known")
}

test_one_agency_alone_is_not_asked if {
	data.accord.examples.codes(data.accord.examples.changed(asked, "/targets", [asked.targets[0]]), "housing") == {"TOO_FEW_AGENCIES"}
}

test_a_second_agency_that_may_not_be_asked_does_not_count if {
	document := data.accord.examples.changed(asked, "/targets/1/responder/suspended", true)
	data.accord.examples.codes(document, "housing") == {"TOO_FEW_AGENCIES"}
	data.accord.examples.codes(document, "police") == {"AGENCY_SUSPENDED"}
	word := data.accord.examples.asked(document, "housing")
	[word.subjects, word.grants, word.obligations, word.agreement.used, word.answer_form] == [[], [], [], [], "none"]
}
