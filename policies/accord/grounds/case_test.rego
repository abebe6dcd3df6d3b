package accord.grounds_test

test_no_case_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/case_token", null), "police") == {"CASE_MISSING"}
}

test_a_closed_case_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/state/case", "closed"), "police") == {"CASE_CLOSED"}
}

test_an_open_case_is_allowed if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/state/case", "open"), "police").allow == true
}
