package accord.grounds_test

# After the agreement was withdrawn, a manager has taken an assessment over to the duty between public bodies.
taken_over := json.patch(data.accord.examples.early_help, [
	{"op": "replace", "path": "/request/purpose", "value": "s17_assessment"},
	{"op": "replace", "path": "/request/need_tier", "value": 3},
	{"op": "replace", "path": "/agreements/0/purposes", "value": ["s17_assessment"]},
	{"op": "replace", "path": "/agreements/1/purposes", "value": ["s17_assessment"]},
	{"op": "replace", "path": "/agreements/0/state", "value": "ConsentWithdrawn"},
	{"op": "replace", "path": "/agreements/0/withdrawn_at_ns", "value": 1795310624000000000},
	{"op": "replace", "path": "/targets/0/gateway_id", "value": "ca1989_s27"},
	{"op": "replace", "path": "/targets/0/art6", "value": "c"},
	{"op": "replace", "path": "/escalation", "value": {
		"manager_token": "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc",
		"replaces_gateway": "agreement_service",
		"reason_code": "needs_unmet",
		"ledger_index": 7,
	}},
])

over(path, value) := data.accord.examples.codes(data.accord.examples.changed(taken_over, path, value), "housing")

shut := {"AGREEMENT_WITHDRAWN", "ESCALATION_MISSING"}

test_law_03_no_silent_switch_allows_with_a_manager if {
	word := data.accord.examples.asked(taken_over, "housing")
	word.allow == true
	word.agreement.mode == "not_operative"
	{"kind": "basis_changed", "value": "agreement_service"} in word.obligations
}

test_law_03_no_silent_switch_refuses_without_one if {
	over("/escalation", null) == shut
}

test_law_03_the_agreement_itself_is_not_rescued if {
	data.accord.examples.codes(taken_over, "police") == {"AGREEMENT_WITHDRAWN"}
}

test_law_03_nobody_escalates_for_themself if {
	over("/escalation/manager_token", taken_over.user.token) == shut
	over("/escalation/manager_token", "c") == shut
}

test_law_03_the_reason_is_of_the_list if {
	over("/escalation/reason_code", "because") == shut
}

test_law_03_it_stands_in_the_ledger_first if {
	over("/escalation/ledger_index", null) == shut
	over("/escalation/ledger_index", "7") == shut
	over("/escalation/ledger_index", -1) == shut
	data.accord.examples.asked(data.accord.examples.changed(taken_over, "/escalation/ledger_index", 0), "housing").allow == true
}

test_law_03_what_is_replaced_is_an_agreement if {
	over("/escalation/replaces_gateway", "ca2004_s10") == shut
	over("/escalation/replaces_gateway", "good_will") == shut
}

test_law_03_consent_under_data_protection_law_is_never_replaced if {
	over("/escalation/replaces_gateway", "consent_gdpr") == shut
	over("/agreements/1/kind", "gdpr_consent") == shut | {"AGREEMENT_MISSING"}
}

test_law_03_early_help_never_goes_over if {
	question := json.patch(taken_over, [
		{"op": "replace", "path": "/request/purpose", "value": "early_help"},
		{"op": "replace", "path": "/agreements/0/purposes", "value": ["early_help"]},
		{"op": "replace", "path": "/agreements/1/purposes", "value": ["early_help"]},
	])
	data.accord.examples.codes(question, "housing") == {"AGREEMENT_WITHDRAWN"}
}

test_law_03_the_other_gateway_must_let_share_by_itself if {
	data.accord.grounds.escalated(data.accord.data.purposes.s17_assessment, data.accord.data.gateways.ca1989_s27) == true with input as taken_over
	own := data.accord.grounds.escalated(data.accord.data.purposes.s17_assessment, data.accord.data.gateways.internal_use) with input as taken_over
	own == false
	agreed := data.accord.grounds.escalated(data.accord.data.purposes.s17_assessment, data.accord.data.gateways.agreement_service) with input as taken_over
	agreed == false
	over("/targets/0/responder/characters", []) == {"GATEWAY_WRONG_PARTIES"}
}

test_law_03_an_objection_is_not_set_aside if {
	over("/agreements/0/objection", "pending") == {"OBJECTION_PENDING"}
	over("/agreements/1/objection", "upheld") == {"OBJECTION_PENDING"}
	data.accord.examples.asked(data.accord.examples.changed(taken_over, "/agreements/0/objection", "overridden"), "housing").allow == true
}

test_law_03_a_model_never_goes_over if {
	found := data.accord.grounds.escalated(data.accord.data.purposes.s17_assessment, data.accord.data.gateways.ca1989_s27) with input as data.accord.examples.changed(taken_over, "/request/model_id", "strain_band")
	found == false
}

test_law_01_protective_is_not_changed_by_an_escalation if {
	question := data.accord.examples.changed(data.accord.examples.s47_enquiry, "/escalation", taken_over.escalation)
	data.accord.examples.asked(question, "housing") == data.accord.examples.asked(data.accord.examples.s47_enquiry, "housing")
}
