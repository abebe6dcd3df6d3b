package accord.questions.agency.open_now_test

test_it_is_allowed_in_its_own_form if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/question_id", "agency.open_now"), "/request/answer_form", "boolean"), "police").allow == true
}

test_nobody_may_not_be_asked_about if {
	data.accord.questions.agency.open_now.permit == false with input as data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/question_id", "agency.open_now"), "/subjects", [])
}

test_the_empty_question_is_not_permitted if {
	data.accord.questions.agency.open_now.permit == false with input as {}
}

test_another_question_is_not_this_one if {
	data.accord.questions.agency.open_now.permit == false with input as data.accord.examples.s47_enquiry
}
