package accord.grounds_test

test_an_unknown_gateway_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/gateway_id", "good_will"), "police") == {"GATEWAY_UNKNOWN"}
}

test_law_04_s16la_not_commenced_is_refused if {
	"GATEWAY_NOT_IN_FORCE" in data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/gateway_id", "ca2004_s16LA"), "police")
}

test_law_04_s16la_would_allow_once_commenced if {
	word := data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/gateway_id", "ca2004_s16LA"), "police") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"ca2004_s16LA": {"effective_from_ns": 1795310625000000000}})
	word.allow == true
}

test_law_13_gateway_starts_at_its_instant if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"common_law_police": {"effective_from_ns": 1795310625000000001}})
	word == {"GATEWAY_NOT_IN_FORCE"}
}

test_law_13_gateway_in_force_at_its_instant if {
	word := data.accord.examples.asked(data.accord.examples.s47_enquiry, "police") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"common_law_police": {"effective_from_ns": 1795310625000000000}})
	word.allow == true
}

test_law_13_gateway_ends_at_its_instant if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"common_law_police": {"effective_to_ns": 1795310625000000000}})
	word == {"GATEWAY_NOT_IN_FORCE"}
}

test_law_13_gateway_lives_one_nanosecond_before_its_end if {
	word := data.accord.examples.asked(data.accord.examples.s47_enquiry, "police") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"common_law_police": {"effective_to_ns": 1795310625000000001}})
	word.allow == true
}

test_s27_never_reaches_police if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.early_help, "/targets/1/gateway_id", "ca1989_s27"), "/targets/1/art6", "c"), "police") == {"GATEWAY_WRONG_PARTIES"}
}

test_s27_reaches_housing if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.early_help, "/targets/0/gateway_id", "ca1989_s27"), "/targets/0/art6", "c"), "housing").allow == true
}

test_s47_needs_a_local_authority_asking if {
	"GATEWAY_WRONG_PARTIES" in data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/requester/characters", []), "housing")
}

test_the_police_gateway_reaches_police_only if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/0/gateway_id", "common_law_police"), "/targets/0/art6", "e"), "housing") == {"GATEWAY_WRONG_PARTIES"}
}

test_law_32_gateway_of_another_purpose_is_refused if {
	"GATEWAY_WRONG_PURPOSE" in data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/gateway_id", "agreement_service"), "police")
}

test_a_basis_the_gateway_does_not_have_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/art6", "a"), "police") == {"GATEWAY_WRONG_PURPOSE"}
}

test_a_charity_does_not_answer_under_a_public_task if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/targets/1/responder/characters", ["non_public"]), "police") == {"GATEWAY_WRONG_PURPOSE"}
}

test_a_charity_answers_under_its_own_basis if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.early_help, "/targets/1/responder/characters", ["non_public"]), "/targets/1/art6", "ea"), "police").allow == true
}

test_a_public_authority_does_not_use_the_charitys_basis if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/targets/1/art6", "ea"), "police") == {"GATEWAY_WRONG_PURPOSE"}
}

test_s47_without_asserted_harm_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/significant_harm_asserted", false), "housing") == {"NECESSITY_MISSING"}
}

test_a_gateway_that_asks_for_the_public_task_is_refused_without if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"common_law_police": {"needs_public_task": true}})
	word == {"NECESSITY_MISSING"}
}

test_law_25_jurisdiction_s_is_refused_for_the_holder if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/jurisdiction", "S"), "police") == {"JURISDICTION"}
}

test_law_25_jurisdiction_ni_is_refused_for_the_holder if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/jurisdiction", "NI"), "police") == {"JURISDICTION"}
}

test_law_25_jurisdiction_s_is_refused_for_the_asker if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/requester/jurisdiction", "S"), "police") == {"JURISDICTION"}
}

test_law_25_jurisdiction_ni_is_refused_for_the_asker if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/requester/jurisdiction", "NI"), "police") == {"JURISDICTION"}
}

test_law_25_english_only_gateway_refuses_wales if {
	word := data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/jurisdiction", "W"), "police") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"common_law_police": {"jurisdictions": {"W": false}}})
	word == {"JURISDICTION"}
}

test_law_25_jurisdiction_wales_is_allowed_where_the_law_is_the_same if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/jurisdiction", "W"), "police").allow == true
}

test_law_24_one_controller_refuses_gateways_between_two if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/controller_id", "midshire-county-council"), "police") == {"SAME_CONTROLLER"}
}

test_law_24_one_controller_may_use_its_own_records if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/controller_id", "midshire-county-council"), "/targets/1/gateway_id", "internal_use"), "police").allow == true
}

test_law_24_two_controllers_never_claim_internal_use if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/gateway_id", "internal_use"), "police") == {"SAME_CONTROLLER"}
}

test_law_24_s27_never_inside_one_authority if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.early_help, "/targets/0/gateway_id", "ca1989_s27"), "/targets/0/art6", "c"), "/targets/0/responder/controller_id", "midshire-county-council"), "housing") == {"SAME_CONTROLLER"}
}

test_law_26_unverified_gateway_is_refused_in_production if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.profile as "production"
	word == {"GATEWAY_UNVERIFIED"}
}

test_law_26_verified_chain_is_allowed_in_production if {
	word := data.accord.examples.asked(data.accord.examples.s47_enquiry, "police") with data.accord.data.profile as "production" with data.accord.data.gateways as object.union(data.accord.data.gateways, {"common_law_police": {"verified": true}}) with data.accord.data.purposes as object.union(data.accord.data.purposes, {"s47_enquiry": {"verified": true, "gateways": {"common_law_police": {"verified": true}}}})
	word.allow == true
}

test_law_26_unverified_pair_is_refused_in_production if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.profile as "production" with data.accord.data.gateways as object.union(data.accord.data.gateways, {"common_law_police": {"verified": true}}) with data.accord.data.purposes as object.union(data.accord.data.purposes, {"s47_enquiry": {"verified": true}})
	word == {"GATEWAY_UNVERIFIED"}
}

test_law_26_unverified_purpose_is_refused_in_production if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.profile as "production" with data.accord.data.gateways as object.union(data.accord.data.gateways, {"common_law_police": {"verified": true}}) with data.accord.data.purposes as object.union(data.accord.data.purposes, {"s47_enquiry": {"gateways": {"common_law_police": {"verified": true}}}})
	word == {"GATEWAY_UNVERIFIED"}
}

test_law_22_claimed_gateway_alone_is_looked_at if {
	"GATEWAY_WRONG_PARTIES" in data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/gateway_id", "ca1989_s47"), "police")
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/gateway_id", "ca1989_s47"), "police").grants == []
	data.accord.examples.asked(data.accord.examples.s47_enquiry, "police").allow == true
}

# Two bodies that are specified for one objective.
specified := json.patch(data.accord.examples.early_help, [
	{"op": "replace", "path": "/request/dea_objective", "value": "multiple_disadvantages"},
	{"op": "add", "path": "/requester/characters/-", "value": "dea_specified"},
	{"op": "add", "path": "/targets/0/responder/characters/-", "value": "dea_specified"},
	{"op": "replace", "path": "/targets/0/gateway_id", "value": "dea2017_s35"},
])

for_objectives(asker, holder) := object.union(data.accord.data.agencies, {
	"social-care": {"objectives": asker},
	"housing": {"objectives": holder},
})

same_objective := for_objectives({"multiple_disadvantages": true}, {"multiple_disadvantages": true})

specified_codes(question, agencies) := {d.code | some d in word.denials} if {
	word := data.accord.query.decision.by_target.housing with input as question with data.accord.data.agencies as agencies
}

test_law_07_s35_both_specified_for_one_objective_are_allowed if {
	word := data.accord.query.decision.by_target.housing with input as specified with data.accord.data.agencies as same_objective
	word.allow == true
}

test_law_07_s35_is_closed_where_one_is_not_specified_for_it if {
	specified_codes(specified, for_objectives({"multiple_disadvantages": true}, {})) == {"GATEWAY_WRONG_PARTIES"}
	specified_codes(specified, for_objectives({}, {"multiple_disadvantages": true})) == {"GATEWAY_WRONG_PARTIES"}
	specified_codes(specified, for_objectives({"multiple_disadvantages": true}, {"another": true})) == {"GATEWAY_WRONG_PARTIES"}
}

test_law_07_s35_is_closed_without_an_objective_of_the_list if {
	specified_codes(data.accord.examples.changed(specified, "/request/dea_objective", null), same_objective) == {"GATEWAY_WRONG_PARTIES"}
	specified_codes(data.accord.examples.changed(specified, "/request/dea_objective", "another"), for_objectives({"another": true}, {"another": true})) == {"GATEWAY_WRONG_PARTIES"}
}

test_law_07_s35_is_closed_to_a_body_that_is_not_specified_at_law if {
	specified_codes(data.accord.examples.changed(specified, "/requester/characters", ["local_authority"]), same_objective) == {"GATEWAY_WRONG_PARTIES"}
	specified_codes(data.accord.examples.changed(specified, "/targets/0/responder/characters", ["s11_body"]), same_objective) == {"GATEWAY_WRONG_PARTIES"}
}

test_law_07_s35_is_no_law_in_northern_ireland if {
	specified_codes(data.accord.examples.changed(specified, "/requester/jurisdiction", "NI"), same_objective) == {"JURISDICTION"}
	specified_codes(data.accord.examples.changed(specified, "/targets/0/responder/jurisdiction", "NI"), same_objective) == {"JURISDICTION"}
}
