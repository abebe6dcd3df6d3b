package accord.grounds_test

test_a_question_about_nobody_is_refused if {
	"NO_CHILD_IN_QUESTION" in data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/subjects", []), "police")
}

test_a_person_listed_twice_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/1/ref", "s1"), "police") == {"INPUT_INVALID"}
}

test_nobody_grown_up_is_a_child if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/0/age_band", "18_plus"), "police") == {"INPUT_INVALID"}
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/0/age_band", "16_17"), "police").allow == true
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/0/age_band", "unknown"), "police").allow == true
}

test_a_missing_age_band_does_not_count_as_young if {
	data.accord.grounds.children_under_age([{"role": "child"}]) == false
}

test_a_gateway_for_children_needs_a_child if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/0/role", "other_adult"), "/subjects/0/relates_to_child", true), "housing") == {"NO_CHILD_IN_QUESTION"}
}

test_an_adult_who_has_nothing_to_do_with_the_child_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/1/relates_to_child", false), "housing") == {"NO_CHILD_IN_QUESTION"}
}

test_a_gateway_not_for_children_needs_no_child if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/1/relates_to_child", false), "police").allow == true
}

test_an_unborn_child_is_not_reached if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/1/concerns_unborn", true), "housing") == {"UNBORN_NOT_COVERED"}
}

test_a_missing_mark_does_not_count_as_related if {
	data.accord.grounds.about_a_child([{"role": "child"}, {"role": "parent"}]) == false
}

test_a_missing_mark_does_not_count_as_born if {
	data.accord.grounds.all_born([{"role": "parent"}]) == false
}

test_people_that_are_no_list_are_nobody if {
	data.accord.grounds.somebody({"s1": {"ref": "s1"}}) == false
	data.accord.grounds.somebody("s1") == false
	data.accord.grounds.one_person({"s1": {"ref": "s1"}}) == false
}

test_agencies_that_are_no_list_are_not_addressed if {
	data.accord.grounds.addressed_once({"0": {"responder": {"agency_id": "police"}}}) == false
}
