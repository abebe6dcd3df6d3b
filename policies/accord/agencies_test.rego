package accord.agencies_test

# Each row of data/agencies that the other examples do not have, asked under the gateway of its own and under a wrong one.

public_task := data.accord.examples.changed(data.accord.examples.s47_enquiry, "/request/public_task_stated", true)

agreed_with_the_public_task := data.accord.examples.changed(data.accord.examples.early_help, "/request/public_task_stated", true)

test_health_answers_a_child_protection_enquiry if {
	data.accord.examples.asked(data.accord.examples.also(data.accord.examples.s47_enquiry, "health", "ca1989_s47", "c"), "health").allow == true
}

test_health_answers_early_help_under_an_agreement if {
	data.accord.examples.asked(data.accord.examples.also_agreed(data.accord.examples.early_help, "health", "agreement_service", "e"), "health").allow == true
}

test_health_that_the_agreement_does_not_name_is_refused if {
	data.accord.examples.codes(data.accord.examples.also(data.accord.examples.early_help, "health", "agreement_service", "e"), "health") == {"AGREEMENT_OUT_OF_SCOPE"}
}

test_law_24_the_countys_schools_answer_their_own_council if {
	data.accord.examples.asked(data.accord.examples.also(data.accord.examples.s47_enquiry, "schools", "internal_use", "c"), "schools").allow == true
}

test_law_02_the_countys_schools_need_the_agreement_for_early_help if {
	data.accord.examples.asked(data.accord.examples.also_agreed(data.accord.examples.early_help, "schools", "internal_use", "c"), "schools").allow == true
	data.accord.examples.codes(data.accord.examples.also(data.accord.examples.early_help, "schools", "internal_use", "c"), "schools") == {"AGREEMENT_OUT_OF_SCOPE"}
}

test_schools_are_not_named_in_section_47 if {
	"GATEWAY_WRONG_PARTIES" in data.accord.examples.codes(data.accord.examples.also(data.accord.examples.s47_enquiry, "schools", "ca1989_s47", "c"), "schools")
}

test_law_24_a_school_that_is_not_the_councils_waits_for_the_duty_to_share if {
	question := data.accord.examples.changed(data.accord.examples.also(data.accord.examples.s47_enquiry, "schools", "ca2004_s16LA", "c"), "/targets/2/responder/controller_id", "an-academy-trust")
	data.accord.examples.codes(question, "schools") == {"GATEWAY_NOT_IN_FORCE"}
	word := data.accord.examples.asked(question, "schools") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"ca2004_s16LA": {"effective_from_ns": 1795310625000000000}})
	word.allow == true
}

test_law_04_a_school_that_is_not_designated_would_not_be_covered if {
	question := data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.also(data.accord.examples.s47_enquiry, "schools", "ca2004_s16LA", "c"), "/targets/2/responder/controller_id", "an-academy-trust"), "/targets/2/responder/characters", [])
	word := data.accord.examples.codes(question, "schools") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"ca2004_s16LA": {"effective_from_ns": 1795310625000000000}})
	word == {"GATEWAY_WRONG_PARTIES"}
}

test_law_24_the_youth_offending_team_answers_its_own_council if {
	data.accord.examples.asked(data.accord.examples.also(data.accord.examples.s47_enquiry, "youth-offending", "internal_use", "c"), "youth-offending").allow == true
	data.accord.examples.asked(data.accord.examples.also_agreed(data.accord.examples.early_help, "youth-offending", "internal_use", "c"), "youth-offending").allow == true
}

test_the_youth_offending_team_is_not_named_in_section_47 if {
	"GATEWAY_WRONG_PARTIES" in data.accord.examples.codes(data.accord.examples.also(data.accord.examples.s47_enquiry, "youth-offending", "ca1989_s47", "c"), "youth-offending")
}

test_law_11_the_drug_and_alcohol_service_is_reached_from_section_47_up if {
	data.accord.examples.asked(data.accord.examples.also(data.accord.examples.s47_enquiry, "drug-alcohol", "ca1989_s47", "c"), "drug-alcohol").allow == true
}

test_law_11_the_drug_and_alcohol_service_is_not_reached_without_asserted_harm if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.also(data.accord.examples.s47_enquiry, "drug-alcohol", "ca1989_s47", "c"), "/request/significant_harm_asserted", false), "drug-alcohol") == {"NECESSITY_MISSING"}
}

test_law_11_the_drug_and_alcohol_service_is_not_reached_for_early_help_whatever_was_agreed if {
	data.accord.examples.codes(data.accord.examples.also_agreed(data.accord.examples.early_help, "drug-alcohol", "agreement_service", "e"), "drug-alcohol") == {"SENSITIVE_SERVICE"}
}

test_law_10_a_charity_answers_a_public_task_that_is_stated if {
	data.accord.examples.asked(data.accord.examples.also(public_task, "charity", "rli_public_task_request", "ea"), "charity").allow == true
}

test_law_10_a_charity_does_not_answer_a_public_task_that_is_not_stated if {
	data.accord.examples.codes(data.accord.examples.also(data.accord.examples.s47_enquiry, "charity", "rli_public_task_request", "ea"), "charity") == {"NECESSITY_MISSING"}
}

test_law_10_the_public_task_of_another_is_no_basis_of_a_public_authority if {
	data.accord.examples.codes(data.accord.examples.also(public_task, "health", "rli_public_task_request", "ea"), "health") == {"GATEWAY_WRONG_PARTIES", "GATEWAY_WRONG_PURPOSE"}
}

test_law_10_the_public_task_has_one_basis if {
	data.accord.examples.codes(data.accord.examples.also(public_task, "charity", "rli_public_task_request", "e"), "charity") == {"GATEWAY_WRONG_PURPOSE"}
}

test_law_10_a_charity_does_not_ask_as_a_public_body if {
	question := data.accord.examples.changed(data.accord.examples.also(public_task, "charity", "rli_public_task_request", "ea"), "/requester/characters", ["non_public"])
	"GATEWAY_WRONG_PARTIES" in data.accord.examples.codes(question, "charity")
}

test_law_10_the_public_task_begins_at_its_instant if {
	question := data.accord.examples.also(public_task, "charity", "rli_public_task_request", "ea")
	before := data.accord.examples.codes(question, "charity") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"rli_public_task_request": {"effective_from_ns": 1795310625000000001}})
	before == {"GATEWAY_NOT_IN_FORCE"}
	at := data.accord.examples.asked(question, "charity") with data.accord.data.gateways as object.union(data.accord.data.gateways, {"rli_public_task_request": {"effective_from_ns": 1795310625000000000}})
	at.allow == true
}

test_law_02_stating_a_public_task_does_not_replace_the_agreement if {
	data.accord.examples.asked(data.accord.examples.also_agreed(agreed_with_the_public_task, "charity", "rli_public_task_request", "ea"), "charity").allow == true
	data.accord.examples.codes(data.accord.examples.also(agreed_with_the_public_task, "charity", "rli_public_task_request", "ea"), "charity") == {"AGREEMENT_OUT_OF_SCOPE"}
}

test_a_charity_is_not_bound_by_section_47 if {
	"GATEWAY_WRONG_PARTIES" in data.accord.examples.codes(data.accord.examples.also(public_task, "charity", "ca1989_s47", "c"), "charity")
}

test_a_charity_answers_early_help_under_an_agreement if {
	data.accord.examples.asked(data.accord.examples.also_agreed(data.accord.examples.early_help, "charity", "agreement_service", "ea"), "charity").allow == true
}

test_law_16_schools_and_charity_do_not_answer_every_question if {
	assessment := data.accord.examples.changed(public_task, "/request/question_id", "assessment.done")
	data.accord.examples.codes(data.accord.examples.also(assessment, "charity", "rli_public_task_request", "ea"), "charity") == {"QUESTION_UNKNOWN"}
	data.accord.examples.codes(data.accord.examples.also(assessment, "schools", "internal_use", "c"), "schools") == {"QUESTION_UNKNOWN"}
	data.accord.examples.asked(data.accord.examples.also(assessment, "health", "ca1989_s47", "c"), "health").allow == true
}
