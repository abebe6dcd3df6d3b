package accord.grounds_test

test_a_suspended_asker_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/requester/suspended", true), "police") == {"AGENCY_SUSPENDED"}
}

test_a_suspended_holder_is_refused_alone if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/suspended", true), "police") == {"AGENCY_SUSPENDED"}
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/suspended", true), "housing").allow == true
}

test_law_23_regime_mixed_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/regime", "part3"), "police") == {"REGIME_MIXED"}
}

test_law_23_law_enforcement_basis_without_its_regime_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/art6", "part3"), "police") == {"REGIME_MIXED", "GATEWAY_WRONG_PURPOSE"}
}

test_law_13_dpia_expired_at_its_instant if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/dpia_until_ns", 1795310625000000000), "police") == {"DPIA_EXPIRED"}
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/dpia_until_ns", 1795310625000000001), "police").allow == true
}

test_law_13_dpia_of_the_asker_counts_too if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/requester/dpia_until_ns", null), "police") == {"DPIA_EXPIRED"}
}
