package accord.purposes_test

# Purposes beside those of the examples, each asked under a gateway of its own and under one that is not.

for_purpose(question, purpose, tier) := data.accord.examples.changed(data.accord.examples.changed(question, "/request/purpose", purpose), "/request/need_tier", tier)

under(question, place, gateway, basis) := data.accord.examples.changed(data.accord.examples.changed(question, concat("", ["/targets/", place, "/gateway_id"]), gateway), concat("", ["/targets/", place, "/art6"]), basis)

in_force(id) := object.union(data.accord.data.gateways, {id: {"effective_from_ns": 1795310625000000000}})

mappa := for_purpose(data.accord.examples.s47_enquiry, "mappa", 3)

marac := for_purpose(data.accord.examples.s47_enquiry, "marac", 3)

missing := for_purpose(data.accord.examples.s47_enquiry, "missing_child", 4)

test_law_09_two_listed_bodies_share_about_a_dangerous_offender if {
	data.accord.examples.asked(under(under(mappa, "0", "cja2003_s325", "c"), "1", "cja2003_s325", "c"), "police").allow == true
	data.accord.examples.asked(under(under(mappa, "0", "cja2003_s325", "c"), "1", "cja2003_s325", "c"), "housing").allow == true
}

test_law_09_that_duty_serves_no_other_purpose if {
	data.accord.examples.codes(under(marac, "0", "cja2003_s325", "c"), marac.targets[0].responder.agency_id) == {"GATEWAY_WRONG_PURPOSE"}
}

test_law_09_a_charity_is_no_listed_body if {
	"GATEWAY_WRONG_PARTIES" in data.accord.examples.codes(data.accord.examples.also(mappa, "charity", "cja2003_s325", "c"), "charity")
}

test_law_08_s115_is_not_in_force_until_somebody_read_its_date if {
	data.accord.examples.codes(under(marac, "0", "cda1998_s115", "e"), marac.targets[0].responder.agency_id) == {"GATEWAY_NOT_IN_FORCE"}
}

test_law_08_s115_opens_towards_a_relevant_authority if {
	word := data.accord.examples.asked(under(marac, "0", "cda1998_s115", "e"), marac.targets[0].responder.agency_id) with data.accord.data.gateways as in_force("cda1998_s115")
	word.allow == true
}

test_law_08_s115_never_opens_towards_a_charity if {
	question := data.accord.examples.changed(under(marac, "0", "cda1998_s115", "e"), "/requester/characters", ["non_public"])
	word := data.accord.examples.codes(question, marac.targets[0].responder.agency_id) with data.accord.data.gateways as in_force("cda1998_s115")
	word == {"GATEWAY_WRONG_PARTIES"}
}

test_a_charity_tells_about_a_missing_child if {
	data.accord.examples.asked(data.accord.examples.also(missing, "charity", "rli_safeguarding", "ea"), "charity").allow == true
}

test_law_10_that_interest_is_closed_to_a_public_authority if {
	codes := data.accord.examples.codes(data.accord.examples.also(missing, "health", "rli_safeguarding", "ea"), "health")
	codes == {"GATEWAY_WRONG_PARTIES", "GATEWAY_WRONG_PURPOSE"}
}

test_law_11_a_missing_child_does_not_open_a_sensitive_service if {
	"SENSITIVE_SERVICE" in data.accord.examples.codes(data.accord.examples.also(missing, "drug-alcohol", "ca1989_s47", "c"), "drug-alcohol")
}

test_law_11_a_strategy_discussion_does if {
	data.accord.examples.asked(data.accord.examples.also(for_purpose(data.accord.examples.s47_enquiry, "strategy_discussion", 4), "drug-alcohol", "ca1989_s47", "c"), "drug-alcohol").allow == true
}

test_law_02_an_assessment_of_a_child_in_need_needs_an_agreement_for_it if {
	question := for_purpose(data.accord.examples.early_help, "s17_assessment", 3)
	data.accord.examples.codes(question, "police") == {"AGREEMENT_OUT_OF_SCOPE"}
	agreed := data.accord.examples.changed(question, "/agreements", [object.union(a, {"purposes": ["s17_assessment"]}) | some a in question.agreements])
	data.accord.examples.asked(agreed, "police").allow == true
}

test_law_01_the_review_of_a_plan_needs_none if {
	data.accord.examples.asked(data.accord.examples.also(for_purpose(data.accord.examples.s47_enquiry, "cp_plan_review", 4), "health", "ca1989_s47", "c"), "health").allow == true
}
