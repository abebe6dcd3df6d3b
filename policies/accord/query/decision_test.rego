package accord.query_test

test_both_examples_are_allowed_everywhere if {
	data.accord.examples.asked(data.accord.examples.early_help, "police").allow == true
	data.accord.examples.asked(data.accord.examples.early_help, "housing").allow == true
	data.accord.examples.asked(data.accord.examples.s47_enquiry, "police").allow == true
	data.accord.examples.asked(data.accord.examples.s47_enquiry, "housing").allow == true
}

test_an_allowed_word_is_complete if {
	data.accord.examples.asked(data.accord.examples.s47_enquiry, "housing") == {"allow": true, "subjects": ["s1", "s2"], "grants": [{"gateway": "ca1989_s47", "id": "duty", "ref": ""}, {"gateway": "ca1989_s47", "id": "sharing_agreement", "ref": "midshire-children"}], "denials": [], "obligations": [{"kind": "cite_gateway", "value": "ca1989_s47"}, {"kind": "contact_route", "value": "Ring the agency's contact before relying on this."}, {"kind": "recency_band", "value": "agency.contact"}], "agreement": {"mode": "not_operative", "used": [], "missing": []}, "answer_form": "recency", "warrant": {"ttl_s": 30, "max_subjects": 12}}
}

test_a_refused_word_gives_nothing_away if {
	word := data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/aal", 1), "housing")
	word.subjects == []
	word.obligations == []
	word.answer_form == "none"
}

test_the_empty_question_gets_no_decision if {
	word := data.accord.query.decision with input as {}
	word == {"by_target": {}}
}

test_without_data_there_is_no_leave if {
	count([1 | word := data.accord.query.decision with input as data.accord.examples.s47_enquiry with data.accord.data as {}; word.by_target.housing.allow == true]) == 0
}

test_an_agencys_input_is_not_the_brokers if {
	count([1 | word := data.accord.query.decision with input as data.accord.examples.after_linking; word.by_target.housing.allow == true]) == 0
}

test_another_schema_is_refused if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/schema_version", 2), "police").allow == false
}

test_law_15_nhs_number_present_changes_nothing if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/0/consistent_id", "present"), "police") == data.accord.examples.asked(data.accord.examples.s47_enquiry, "police")
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/subjects/1/consistent_id", "present"), "police") == data.accord.examples.asked(data.accord.examples.early_help, "police")
}

test_law_15_nhs_number_unknown_changes_nothing if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/0/consistent_id", "unknown"), "police") == data.accord.examples.asked(data.accord.examples.s47_enquiry, "police")
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/subjects/1/consistent_id", "unknown"), "police") == data.accord.examples.asked(data.accord.examples.early_help, "police")
}

test_law_15_nhs_number_withheld_detriment_changes_nothing if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/0/consistent_id", "withheld_detriment"), "police") == data.accord.examples.asked(data.accord.examples.s47_enquiry, "police")
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/subjects/1/consistent_id", "withheld_detriment"), "police") == data.accord.examples.asked(data.accord.examples.early_help, "police")
}

test_law_15_nhs_number_would_delay_changes_nothing if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/subjects/0/consistent_id", "would_delay"), "police") == data.accord.examples.asked(data.accord.examples.s47_enquiry, "police")
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/subjects/1/consistent_id", "would_delay"), "police") == data.accord.examples.asked(data.accord.examples.early_help, "police")
}

test_told_later_comes_with_a_day if {
	{"kind": "told_reveal_at", "value": 1795310625000000001} in data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/told", {"state": "not_told", "reason": "would_increase_risk", "review_at_ns": 1795310625000000001}), "police").obligations
}
