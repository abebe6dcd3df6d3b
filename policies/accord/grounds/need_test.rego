package accord.grounds_test

test_law_12_tier_no_need_stated_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/need_tier", null), "police") == {"TIER_TOO_LOW", "TIER_OUT_OF_RANGE"}
}

test_law_12_tier_below_the_question_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/need_tier", 1), "police") == {"TIER_TOO_LOW", "TIER_OUT_OF_RANGE"}
}

test_law_12_tier_above_the_purpose_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/need_tier", 4), "police") == {"TIER_OUT_OF_RANGE"}
}

test_law_12_tier_at_both_ends_of_the_range_is_allowed if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/request/need_tier", 2), "police").allow == true
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/request/need_tier", 3), "police").allow == true
}

test_a_text_is_no_need if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/need_tier", "4"), "police") == {"TIER_TOO_LOW", "TIER_OUT_OF_RANGE"}
}

test_a_reason_not_in_the_list_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/necessity_code", "because"), "police") == {"NECESSITY_MISSING"}
}

test_no_reason_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/necessity_code", ""), "police") == {"NECESSITY_MISSING"}
}
