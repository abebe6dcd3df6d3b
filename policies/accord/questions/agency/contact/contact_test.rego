package accord.questions.agency.contact_test

test_a_named_person_may_be_asked_about if {
	data.accord.questions.agency.contact.permit == true with input as data.accord.examples.s47_enquiry
}

test_nobody_may_not if {
	data.accord.questions.agency.contact.permit == false with input as data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects", [])
}

test_the_empty_question_is_not_permitted if {
	data.accord.questions.agency.contact.permit == false with input as {}
}

test_without_data_it_is_not_permitted if {
	count([1 | word := data.accord.query.decision with input as data.accord.examples.s47_enquiry with data.accord.data as {}; word.by_target.housing.allow == true]) == 0
}

test_another_question_is_not_this_one if {
	data.accord.questions.agency.contact.permit == false with input as data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/question_id", "agency.open_now")
}
