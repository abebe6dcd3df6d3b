package accord.questions.assessment.done_test

test_it_is_allowed_where_a_child_is_in_the_question if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/question_id", "assessment.done"), "police").allow == true
}

test_without_a_child_it_is_refused if {
	"NO_CHILD_IN_QUESTION" in data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/question_id", "assessment.done"), "/subjects/0/role", "other_adult"), "police")
}

test_the_empty_question_is_not_permitted if {
	data.accord.questions.assessment.done.permit == false with input as {}
}

test_another_question_is_not_this_one if {
	data.accord.questions.assessment.done.permit == false with input as data.accord.examples.s47_enquiry
}
