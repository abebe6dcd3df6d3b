package accord.grounds_test

test_law_02_supportive_needs_live_agreement_allows_with_one if {
	data.accord.examples.asked(data.accord.examples.early_help, "police").allow == true
	data.accord.examples.asked(data.accord.examples.early_help, "police").agreement == {"mode": "required", "used": ["01934f4e-0000-7000-8000-000000000001", "01934f4e-0000-7000-8000-000000000002"], "missing": []}
}

test_law_02_supportive_without_any_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements", []), "police") == {"AGREEMENT_MISSING"}
}

test_law_02_supportive_consentrequested_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/state", "ConsentRequested"), "police") == {"AGREEMENT_MISSING"}
}

test_law_02_supportive_consentrequestdeferred_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/state", "ConsentRequestDeferred"), "police") == {"AGREEMENT_MISSING"}
}

test_law_02_supportive_consentrefused_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/state", "ConsentRefused"), "police") == {"AGREEMENT_MISSING"}
}

test_law_02_supportive_consentinvalidated_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/state", "ConsentInvalidated"), "police") == {"AGREEMENT_MISSING"}
}

test_law_02_supportive_consentunknown_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/state", "ConsentUnknown"), "police") == {"AGREEMENT_MISSING"}
}

test_law_02_supportive_consentwithdrawn_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/state", "ConsentWithdrawn"), "police") == {"AGREEMENT_WITHDRAWN"}
}

test_law_02_supportive_consentrevoked_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/state", "ConsentRevoked"), "police") == {"AGREEMENT_WITHDRAWN"}
}

test_law_02_supportive_consentexpired_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/state", "ConsentExpired"), "police") == {"AGREEMENT_EXPIRED"}
}

test_law_02_supportive_renewed_is_allowed if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/state", "RenewedConsentGiven"), "police").allow == true
}

test_law_02_supportive_withdrawn_at_any_time_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/withdrawn_at_ns", 1795310625000000005), "police") == {"AGREEMENT_WITHDRAWN"}
}

test_law_02_supportive_out_of_scope_questions_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/questions", ["agency.open_now"]), "police") == {"AGREEMENT_OUT_OF_SCOPE"}
}

test_law_02_supportive_out_of_scope_purposes_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/purposes", ["s17_assessment"]), "police") == {"AGREEMENT_OUT_OF_SCOPE"}
}

test_law_02_supportive_out_of_scope_requesters_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/requesters", ["housing"]), "police") == {"AGREEMENT_OUT_OF_SCOPE"}
}

test_law_02_supportive_out_of_scope_responders_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/responders", ["housing"]), "police") == {"AGREEMENT_OUT_OF_SCOPE"}
}

test_law_02_supportive_scope_is_looked_at_agency_by_agency if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/responders", ["housing"]), "housing").allow == true
}

test_law_02_supportive_objection_pending_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/objection", "pending"), "police") == {"OBJECTION_PENDING"}
}

test_law_02_supportive_objection_upheld_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/objection", "upheld"), "police") == {"OBJECTION_PENDING"}
}

test_law_02_supportive_objection_overridden_is_allowed if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/objection", "overridden"), "police").allow == true
}

test_law_02_supportive_gdpr_consent_is_no_agreement if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/kind", "gdpr_consent"), "police") == {"AGREEMENT_MISSING"}
}

test_law_13_agreement_starts_at_its_instant if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/valid_from_ns", 1795310625000000001), "police") == {"AGREEMENT_EXPIRED"}
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/valid_from_ns", 1795310625000000000), "police").allow == true
}

test_law_13_agreement_ends_at_its_instant if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/valid_to_ns", 1795310625000000000), "police") == {"AGREEMENT_EXPIRED"}
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/valid_to_ns", 1795310625000000001), "police").allow == true
}

test_law_13_agreement_without_an_end_is_live if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/valid_to_ns", null), "police").allow == true
}

test_law_29_nobody_agrees_for_another_adult if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/1/given_by", "parent"), "police") == {"AGREEMENT_WRONG_GIVER"}
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/1/given_by", "court_order"), "police") == {"AGREEMENT_WRONG_GIVER"}
}

test_law_29_one_adults_agreement_covers_nobody_else if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/subject_ref", "s2"), "police").denials == [{"code": "AGREEMENT_MISSING", "ref": "s1"}]
}

test_one_record_shown_for_two_people_is_judged_for_each if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/1/record_id", "01934f4e-0000-7000-8000-000000000001"), "/agreements/1/given_by", "parent"), "police") == {"AGREEMENT_WRONG_GIVER"}
}

test_law_19_at_eighteen_anothers_agreement_is_dead if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/1/given_by", "parent"), "police") == {"AGREEMENT_WRONG_GIVER"}
}

test_a_child_agrees_only_if_competent if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/given_by", "self"), "police") == {"AGREEMENT_WRONG_GIVER"}
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/given_by", "self"), "/subjects/0/competence", "competent"), "police").allow == true
}

test_a_child_does_not_agree_by_being_called_an_adult if {
	data.accord.grounds.right_giver({"given_by": "self"}, {"role": "other_adult", "age_band": "5_9", "competence": "n_a"}) == false
	data.accord.grounds.right_giver({"given_by": "self"}, {"role": "parent", "age_band": "10_15", "competence": "not_assessed"}) == false
	data.accord.grounds.right_giver({"given_by": "self"}, {"role": "parent", "age_band": "10_15", "competence": "competent"}) == true
	data.accord.grounds.right_giver({"given_by": "self"}, {"role": "parent", "age_band": "16_17", "competence": "n_a"}) == true
}

test_the_refusal_names_the_person if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.early_help, "/agreements/0/state", "ConsentRefused"), "police").denials == [{"code": "AGREEMENT_MISSING", "ref": "s1"}]
}

test_law_01_protective_never_needs_agreement if {
	data.accord.examples.asked(data.accord.examples.s47_enquiry, "police").allow == true
}

test_law_01_protective_is_not_changed_by_an_agreement_consentgiven if {
	agreements := json.patch(data.accord.examples.early_help.agreements, [{"op": "replace", "path": "/0/state", "value": "ConsentGiven"}])
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/agreements", agreements), "police") == data.accord.examples.asked(data.accord.examples.s47_enquiry, "police")
}

test_law_01_protective_is_not_changed_by_an_agreement_consentrefused if {
	agreements := json.patch(data.accord.examples.early_help.agreements, [{"op": "replace", "path": "/0/state", "value": "ConsentRefused"}])
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/agreements", agreements), "police") == data.accord.examples.asked(data.accord.examples.s47_enquiry, "police")
}

test_law_01_protective_is_not_changed_by_an_agreement_consentwithdrawn if {
	agreements := json.patch(data.accord.examples.early_help.agreements, [{"op": "replace", "path": "/0/state", "value": "ConsentWithdrawn"}])
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/agreements", agreements), "police") == data.accord.examples.asked(data.accord.examples.s47_enquiry, "police")
}
