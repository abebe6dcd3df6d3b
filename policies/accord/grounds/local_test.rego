package accord.grounds_test

test_law_06_detriment_withheld if {
	data.accord.examples.held_refs(data.accord.examples.changed(data.accord.examples.after_linking, "/local/detriment", "withhold")) == {"detriment"}
	data.accord.examples.held(data.accord.examples.changed(data.accord.examples.after_linking, "/local/detriment", "withhold")).allow == false
	data.accord.examples.held(data.accord.examples.after_linking).allow == true
}

test_law_06_shielded_is_withheld if {
	data.accord.examples.held_refs(data.accord.examples.changed(data.accord.examples.after_linking, "/local/shielded", true)) == {"shielded"}
}

test_law_06_opt_out_is_withheld if {
	data.accord.examples.held_refs(data.accord.examples.changed(data.accord.examples.after_linking, "/local/opt_out", true)) == {"opt_out"}
}

test_law_06_court_restriction_is_withheld if {
	data.accord.examples.held_refs(data.accord.examples.changed(data.accord.examples.after_linking, "/local/court_restriction", true)) == {"court_restriction"}
}

test_law_15_ambiguous_never_answers if {
	data.accord.examples.held_refs(data.accord.examples.changed(data.accord.examples.after_linking, "/local/linkage", "ambiguous")) == {"linkage"}
}

test_law_06_only_the_agency_reads_why if {
	data.accord.examples.held_codes(data.accord.examples.changed(data.accord.examples.after_linking, "/local/shielded", true)) == {"WITHHELD_HERE"}
}

test_a_person_has_to_look_first if {
	data.accord.examples.held_refs(data.accord.examples.changed(data.accord.examples.after_linking, "/local/review", "manual")) == {"review"}
}

test_stale_records_do_not_answer if {
	data.accord.examples.held_refs(data.accord.examples.changed(data.accord.examples.after_linking, "/local/data_age_s", 172801)) == {"stale"}
	data.accord.examples.held(data.accord.examples.changed(data.accord.examples.after_linking, "/local/data_age_s", 172800)).allow == true
}

test_nobody_found_may_be_answered_with_no if {
	data.accord.examples.held(data.accord.examples.changed(data.accord.examples.after_linking, "/local/linkage", "none")).allow == true
}

test_law_31_agreement_binds_person if {
	data.accord.examples.held_codes(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.after_linking, "/request/purpose", "early_help"), "/targets/0/gateway_id", "agreement_service")) == {"AGREEMENT_NOT_THIS_PERSON"}
}

test_law_31_agreement_that_binds_allows if {
	data.accord.examples.held(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.after_linking, "/request/purpose", "early_help"), "/targets/0/gateway_id", "agreement_service"), "/local/agreement_binds", true)).allow == true
}

test_law_31_agreement_that_does_not_bind_refuses if {
	data.accord.examples.held(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.after_linking, "/request/purpose", "early_help"), "/targets/0/gateway_id", "agreement_service"), "/local/agreement_binds", false)).allow == false
}
