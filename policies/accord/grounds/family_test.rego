package accord.grounds_test

test_law_28_views_not_sought_is_refused_below_harm if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/views_sought", "no"), "police") == {"VIEWS_NOT_SOUGHT"}
}

test_law_28_views_not_safe_is_accepted if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/request/views_sought", "not_safe"), "police").allow == true
}

test_law_28_views_not_practicable_is_accepted if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/request/views_sought", "not_practicable"), "police").allow == true
}

test_law_28_views_are_not_asked_for_above_harm if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/views_sought", "no"), "police").allow == true
}

test_law_28_proportion_missing_is_refused_below_harm if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/proportionality_code", null), "police") == {"PROPORTIONALITY_MISSING"}
}

test_law_28_proportion_not_in_the_list_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/proportionality_code", "yes"), "police") == {"PROPORTIONALITY_MISSING"}
}

test_law_28_proportion_is_not_asked_for_above_harm if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/proportionality_code", null), "police").allow == true
}

test_law_17_told_no_needs_reason_and_review_allows_with_both if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/told", {"state": "not_told", "reason": "would_increase_risk", "review_at_ns": 1795310625000000001}), "police").allow == true
}

test_law_17_told_no_needs_a_reason if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/told", {"state": "not_told", "reason": "none", "review_at_ns": 1795310625000000001}), "police") == {"TOLD_REASON_MISSING"}
}

test_law_17_told_no_needs_a_review if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/told", {"state": "not_told", "reason": "impracticable", "review_at_ns": null}), "police") == {"TOLD_REASON_MISSING"}
}

test_law_17_told_review_at_the_limit_is_allowed if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/told", {"state": "not_told", "reason": "impracticable", "review_at_ns": 1797729825000000000}), "police").allow == true
}

test_law_17_told_review_one_nanosecond_late_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/told", {"state": "not_told", "reason": "impracticable", "review_at_ns": 1797729825000000001}), "police") == {"TOLD_REVIEW_TOO_LATE"}
}

test_law_17_told_review_in_the_past_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/told", {"state": "not_told", "reason": "impracticable", "review_at_ns": 1795310625000000000}), "police") == {"TOLD_REVIEW_TOO_LATE"}
}

test_law_17_told_not_applicable_is_no_way_out_below_harm if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/told", {"state": "n_a", "reason": "none", "review_at_ns": null}), "police") == {"TOLD_REASON_MISSING"}
}

test_law_17_told_not_applicable_is_accepted_above_harm if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/told", {"state": "n_a", "reason": "none", "review_at_ns": null}), "police").allow == true
}
