package accord.grounds_test

in_an_emergency(path, value) := data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.emergency, path, value), "housing")

emergency_word(path, value) := data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.emergency, path, value), "housing")

kinds(word) := {o.kind: o.value | some o in word.obligations}

test_law_20_an_emergency_is_allowed_and_marked if {
	word := data.accord.examples.asked(data.accord.examples.emergency, "housing")
	word.allow == true
	kinds(word).mark_break_glass == "risk_to_life"
	kinds(word).review_by == "end_of_next_working_day"
	kinds(word).notify_holder == "emergency"
	data.accord.examples.asked(data.accord.examples.emergency, "police").allow == true
}

test_law_20_an_ordinary_question_is_not_marked if {
	word := data.accord.examples.asked(data.accord.examples.s47_enquiry, "housing")
	count({"mark_break_glass", "review_by", "notify_holder", "basis_changed"} & object.keys(kinds(word))) == 0
}

test_law_20_the_other_reasons_open_it_under_a_gateway_of_their_own if {
	some ground in ["serious_harm_now", "missing_child_high_risk"]
	word := data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.emergency, "/break_glass/ground", ground), "police")
	word.allow == true
	kinds(word).mark_break_glass == ground
}

test_law_20_vital_interest_is_for_a_risk_to_life_only if {
	in_an_emergency("/break_glass/ground", "serious_harm_now") == {"BREAK_GLASS_GROUND"}
	in_an_emergency("/break_glass/ground", "missing_child_high_risk") == {"BREAK_GLASS_GROUND"}
}

test_law_20_without_a_reason_it_stays_shut if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.emergency, "/break_glass/ground", "none"), "police") == {"BREAK_GLASS_GROUND"}
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.emergency, "/break_glass/ground", "in_a_hurry"), "police") == {"BREAK_GLASS_GROUND"}
}

test_law_20_without_the_claim_it_stays_shut if {
	in_an_emergency("/break_glass/claimed", false) == {"BREAK_GLASS_GROUND"}
}

test_law_20_a_supervisor_was_told if {
	in_an_emergency("/break_glass/supervisor_notified", false) == {"BREAK_GLASS_GROUND"}
}

test_law_20_the_supervisor_is_named_and_is_somebody_else if {
	in_an_emergency("/user/supervisor_token", null) == {"BREAK_GLASS_GROUND"}
	in_an_emergency("/user/supervisor_token", "b") == {"BREAK_GLASS_GROUND"}
	in_an_emergency("/user/supervisor_token", data.accord.examples.emergency.user.token) == {"BREAK_GLASS_GROUND"}
	in_an_emergency("/user/token", null) == {"BREAK_GLASS_GROUND"}
	in_an_emergency("/user/token", "c") == {"BREAK_GLASS_GROUND"}
}

test_law_20_the_claim_opens_no_other_purpose if {
	question := data.accord.examples.changed(data.accord.examples.s47_enquiry, "/break_glass", data.accord.examples.emergency.break_glass)
	data.accord.examples.codes(question, "police") == {"BREAK_GLASS_GROUND"}
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/break_glass/ground", "risk_to_life"), "police") == {"BREAK_GLASS_GROUND"}
}

test_law_20_an_overdue_review_shuts_it if {
	in_an_emergency("/state/break_glass_overdue", 1) == {"BREAK_GLASS_OVERDUE"}
	in_an_emergency("/state/break_glass_overdue", "0") == {"BREAK_GLASS_OVERDUE"}
}

test_law_20_an_overdue_review_shuts_nothing_else if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/state/break_glass_overdue", 1), "police").allow == true
}

test_law_20_a_ledger_in_grace_lets_it_through_and_a_stale_one_does_not if {
	emergency_word("/state/ledger", "grace").allow == true
	in_an_emergency("/state/ledger", "stale") == {"LEDGER_STALE"}
}

test_law_20_the_sign_in_is_fresh if {
	emergency_word("/user/auth_age_s", 900).allow == true
	in_an_emergency("/user/auth_age_s", 901) == {"STEP_UP_REQUIRED"}
	in_an_emergency("/user/aal", 1) == {"STEP_UP_REQUIRED"}
}

test_law_20_no_level_of_need_is_asked if {
	emergency_word("/request/need_tier", 1).allow == true
	emergency_word("/request/need_tier", null).allow == true
}

test_law_20_no_sharing_agreement_is_asked if {
	emergency_word("/targets/0/isa_id", null).allow == true
	emergency_word("/targets/0/responder/isa_until_ns", null).allow == true
}

test_law_20_it_does_not_lift_the_rest if {
	in_an_emergency("/targets/0/responder/suspended", true) == {"AGENCY_SUSPENDED"}
	in_an_emergency("/request/necessity_code", "") == {"NECESSITY_MISSING"}
	in_an_emergency("/targets/0/responder/dpia_until_ns", null) == {"DPIA_EXPIRED"}
	in_an_emergency("/user/role", "auditor") == {"ROLE_NARROWER"}
	in_an_emergency("/request/question_id", "assessment.done") != set()
	in_an_emergency("/targets/0/gateway_id", "common_law_police") & {"GATEWAY_WRONG_PURPOSE"} == {"GATEWAY_WRONG_PURPOSE"}
}

test_law_20_the_agency_decides_without_a_sharing_agreement_too if {
	question := json.patch(data.accord.examples.before_linking, [
		{"op": "replace", "path": "/request/purpose", "value": "emergency"},
		{"op": "replace", "path": "/targets/0/responder/isa_until_ns", "value": null},
	])
	data.accord.examples.held(question).allow == true
	data.accord.examples.held_codes(data.accord.examples.changed(question, "/request/purpose", "s47_enquiry")) == {"ISA_EXPIRED"}
}

test_law_20_the_agency_keeps_its_veto if {
	question := data.accord.examples.changed(data.accord.examples.after_linking, "/request/purpose", "emergency")
	data.accord.examples.held(question).allow == true
	data.accord.examples.held_codes(data.accord.examples.changed(question, "/local/shielded", true)) == {"WITHHELD_HERE"}
	data.accord.examples.held_codes(data.accord.examples.changed(question, "/local/detriment", "withhold")) == {"WITHHELD_HERE"}
}

test_the_public_interest_wants_somebody_senior_who_is_not_the_asker if {
	question := data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/gateway_id", "common_law_public_interest"), "/user/supervisor_token", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	data.accord.examples.asked(question, "police").allow == true
	data.accord.examples.codes(data.accord.examples.changed(question, "/user/supervisor_token", null), "police") == {"NECESSITY_MISSING"}
	data.accord.examples.codes(data.accord.examples.changed(question, "/user/supervisor_token", question.user.token), "police") == {"NECESSITY_MISSING"}
	data.accord.examples.codes(data.accord.examples.changed(question, "/request/proportionality_code", null), "police") == {"NECESSITY_MISSING"}
}
