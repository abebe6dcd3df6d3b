package accord.grounds_test

# What one condition by itself closes: everything else of the ground is there.

now := 1795310625000000000

asking(path, value) := data.accord.examples.changed(data.accord.examples.early_help, path, value)

test_an_agreement_that_is_claimed_is_required_for_a_protective_purpose_too if {
	data.accord.grounds.agreement_mode(data.accord.data.purposes.s47_enquiry, data.accord.data.gateways.agreement_service) == "required" with input as data.accord.examples.s47_enquiry
}

test_an_agreement_starts_and_ends_at_numbers if {
	agreement := data.accord.examples.early_help.agreements[0]
	data.accord.grounds.in_date(agreement) == true with input as data.accord.examples.early_help
	data.accord.grounds.in_date(object.union(agreement, {"valid_from_ns": null})) == false with input as data.accord.examples.early_help
	data.accord.grounds.not_over("9") == false with input as data.accord.examples.early_help
	data.accord.grounds.not_over(null) == false with input as asking("/request/at", "9")
}

test_an_agreement_is_given_by_who_may_give_it if {
	data.accord.grounds.right_giver({"given_by": "self"}, {"role": "child", "age_band": "16_17", "competence": "not_assessed"}) == false
	data.accord.grounds.right_giver({"given_by": "another"}, {"role": "child", "age_band": "10_15", "competence": "competent"}) == false
	data.accord.grounds.right_giver({"given_by": "parent"}, {"role": "parent", "age_band": "16_17", "competence": "n_a"}) == false
	data.accord.grounds.right_giver({"given_by": "parent"}, {"role": "child", "age_band": "18_plus", "competence": "n_a"}) == false
	data.accord.grounds.right_giver({"given_by": "parent"}, {"role": "child", "age_band": "16_17", "competence": "n_a"}) == true
}

test_a_case_token_has_its_length if {
	data.accord.grounds.case_named({"case_required": true}) == false with input as asking("/request/case_token", "f")
	data.accord.grounds.case_named({"case_required": true}) == false with input as asking("/request/case_token", null)
}

test_the_ordinary_route_is_of_an_ordinary_purpose_and_claims_nothing if {
	data.accord.grounds.emergency_settled({"break_glass": true}, {"claimed": false, "ground": "none", "supervisor_notified": true}) == false
	data.accord.grounds.emergency_settled({"break_glass": false}, {"claimed": true, "ground": "none", "supervisor_notified": true}) == false
}

test_only_a_purpose_that_needs_an_agreement_is_taken_over if {
	purpose := {"agreement": "not_operative", "may_escalate": true}
	data.accord.grounds.escalated(purpose, data.accord.data.gateways.ca1989_s27) == false with input as taken_over
}

test_a_purpose_of_no_known_class_is_settled_by_nothing if {
	data.accord.grounds.views_sought({"class": "another"}) == false with input as data.accord.examples.early_help
	data.accord.grounds.proportionality_stated({"class": "another"}) == false with input as data.accord.examples.early_help
	data.accord.grounds.told_settled({"class": "protective"}) == false with input as asking("/told/state", "perhaps")
}

later := {"state": "not_told", "reason": "impracticable", "review_at_ns": 1795310625000000001}

test_a_reason_for_not_telling_goes_with_not_telling if {
	data.accord.grounds.told_settled({"class": "supportive"}) == true with input as asking("/told", later)
	data.accord.grounds.told_settled({"class": "supportive"}) == false with input as asking("/told", object.union(later, {"state": "n_a"}))
	data.accord.grounds.told_review_soon(object.union(later, {"state": "perhaps"})) == false with input as data.accord.examples.early_help
	data.accord.grounds.told_review_soon({"state": "perhaps", "review_at_ns": null}) == false with input as data.accord.examples.early_help
	data.accord.grounds.told_review_soon(object.union(later, {"review_at_ns": "9"})) == false with input as data.accord.examples.early_help
}

test_a_gateway_is_checked_as_well_as_its_pair if {
	purpose := {"gateways": {"g": {"verified": true}}}
	data.accord.grounds.gateway_verified({"id": "g", "verified": true}, purpose) == true with data.accord.data.profile as "production"
	data.accord.grounds.gateway_verified({"id": "g", "verified": false}, purpose) == false with data.accord.data.profile as "production"
}

test_a_controller_that_is_no_text_is_no_other_controller if {
	between := {"within_one_controller": false}
	data.accord.grounds.controllers_fit(between, {"controller_id": null}) == false with input as data.accord.examples.early_help
	data.accord.grounds.controllers_fit(between, {"controller_id": "another"}) == false with input as asking("/requester/controller_id", null)
}

test_a_ledger_in_an_unknown_state_lets_no_emergency_through if {
	data.accord.grounds.ledger_not_in_grace({"break_glass": true}, {"ledger": "fine"}) == false
}

test_the_age_of_records_is_a_number_and_no_future if {
	limits := {"freshness_limit_s": 10}
	data.accord.grounds.young(limits, {"data_age_s": 0}) == true
	data.accord.grounds.young(limits, {"data_age_s": -1}) == false
	data.accord.grounds.young(limits, {"data_age_s": null}) == false
	data.accord.grounds.binds("not_operative", {"linkage": null}) == false
}

test_an_unchecked_model_is_no_declared_one_in_production if {
	question := object.union(data.accord.data.catalogue.questions["agency.contact"], {"answer": "band"})
	found := data.accord.grounds.model_declared(question) with input as named_model with data.accord.data.models as declared_model with data.accord.data.profile as "production"
	found == false
}

test_a_level_of_need_is_a_number if {
	data.accord.grounds.tier_in_range({"tier_required": true, "min_tier": 2, "max_tier": "9"}) == false with input as asking("/request/need_tier", "4")
	data.accord.grounds.tier_enough({"tier_required": true}, {"min_tier": 2}) == false with input as asking("/request/need_tier", "4")
}

test_one_regime_is_the_regime_of_all if {
	mixed := data.accord.examples.changed(data.accord.examples.s47_enquiry, "/requester/regime", "part3")
	data.accord.grounds.one_regime(mixed.targets[0]) == false with input as mixed
	data.accord.grounds.regime_fits_basis("part2", null) == false with input as data.accord.examples.early_help
	data.accord.grounds.regime_fits_basis("part9", null) == false with input as data.accord.examples.before_linking
}

test_an_impact_assessment_ends_at_a_number_at_both_ends if {
	party := {"dpia_until_ns": 1795310625000000001}
	data.accord.grounds.dpia_in_date(party) == true with input as data.accord.examples.early_help
	data.accord.grounds.dpia_in_date({"dpia_until_ns": "9"}) == false with input as data.accord.examples.early_help
	data.accord.grounds.dpia_in_date(party) == false with input as asking("/requester/dpia_until_ns", "9")
	data.accord.grounds.dpia_in_date(party) == false with input as asking("/requester/dpia_until_ns", 1795310625000000000)
}

test_agencies_are_addressed_and_each_once if {
	target := data.accord.examples.early_help.targets[0]
	data.accord.grounds.addressed_once([target]) == true
	data.accord.grounds.addressed_once([]) == false
	data.accord.grounds.addressed_once([target, target]) == false
	lacking := data.accord.lacking([data.accord.core_checks]) with input as asking("/targets", [target, target])
	{"code": "INPUT_INVALID", "ref": "targets"} in lacking
}

test_a_purpose_ends_at_its_instant if {
	question := {"purposes": ["p"]}
	data.accord.grounds.purpose_allowed(question, {"id": "p", "effective_from_ns": 0, "effective_to_ns": now + 1}) == true with input as data.accord.examples.early_help
	data.accord.grounds.purpose_allowed(question, {"id": "p", "effective_from_ns": 0, "effective_to_ns": now}) == false with input as data.accord.examples.early_help
}

test_an_instant_is_a_number if {
	found := {x | x := data.accord.grounds.at} with input as asking("/request/at", "9")
	found == set()
}

test_a_version_is_a_number_from_one if {
	data.accord.grounds.question_known({"version": "9"}) == false with input as asking("/request/question_version", "1")
	data.accord.grounds.question_known({"version": 1}) == false with input as asking("/request/question_version", 0)
}

test_an_answer_is_put_together_in_one_way_only if {
	data.accord.grounds.answers_hidden({"composition": "another"}, 2) == false
	data.accord.grounds.answers_hidden({"composition": "any"}, 2) == true
}

test_a_role_that_may_not_ask_may_not_whatever_its_rank if {
	found := data.accord.grounds.role_allowed({"min_role": "practitioner"}) with input as data.accord.examples.early_help with data.accord.data.roles as {"practitioner": {"rank": 9, "may_ask": false}}
	found == false
}

test_a_sign_in_has_an_age_and_lies_in_the_past if {
	data.accord.grounds.signed_in({"break_glass": false}, {"aal": 2, "auth_age_s": null}) == false
	data.accord.grounds.signed_in({"break_glass": false}, {"aal": 2, "auth_age_s": -1}) == false
	data.accord.grounds.signed_in({"break_glass": false}, {"aal": 2, "auth_age_s": 0}) == true
}

test_a_sharing_agreement_ends_at_a_number_and_is_named if {
	target := data.accord.examples.early_help.targets[0]
	ends := json.patch(target, [{"op": "replace", "path": "/responder/isa_until_ns", "value": "9"}])
	count(data.accord.grounds.sharing_agreements(target)) == 1 with input as data.accord.examples.early_help
	count(data.accord.grounds.sharing_agreements(ends)) == 0 with input as data.accord.examples.early_help
	data.accord.grounds.isa_named("a", "a") == false with input as data.accord.examples.before_linking
}

test_nobody_is_an_empty_list if {
	bare := json.patch(data.accord.examples.early_help, [
		{"op": "replace", "path": "/agreements", "value": []},
		{"op": "replace", "path": "/request/case_token", "value": null},
	])
	data.accord.grounds.nobody_named({"about_people": false}, []) == true with input as bare
	data.accord.grounds.nobody_named({"about_people": false}, "") == false with input as bare
	data.accord.grounds.nobody_named({"about_people": false}, []) == false with input as data.accord.examples.changed(bare, "/agreements", "")
}

test_a_policy_document_ends_at_a_number if {
	data.accord.grounds.apd_in_date({"sensitivity": "special"}, {"apd_until_ns": "9"}) == false with input as data.accord.examples.early_help
	data.accord.grounds.apd_in_date({"sensitivity": "special"}, {"apd_until_ns": now + 1}) == true with input as data.accord.examples.early_help
}

test_a_condition_goes_with_its_own_class_of_data if {
	target := {"responder": {"regime": "part2"}, "art9": "g", "sch1": "para18_safeguarding", "crime": "sch1"}
	data.accord.grounds.art9_settled({"sensitivity": "special"}, target) == true
	data.accord.grounds.art9_settled({"sensitivity": "another"}, target) == false
	data.accord.grounds.crime_settled({"sensitivity": "criminal"}, target) == true
	data.accord.grounds.crime_settled({"sensitivity": "another"}, target) == false
}

test_an_obligation_comes_with_its_cause if {
	contact := data.accord.data.catalogue.questions["agency.contact"]
	plain := object.union(contact, {"shows_recency": false, "next_step": ""})
	found := data.accord.question_obligations with input as data.accord.examples.early_help with data.accord.data.catalogue.questions as {"agency.contact": plain}
	found == set()
	told := data.accord.question_obligations with input as asking("/told/review_at_ns", now) with data.accord.data.catalogue.questions as {"agency.contact": plain}
	told == set()
	words := data.accord.question_obligations with input as asking("/told", {"state": "not_told", "reason": "impracticable", "review_at_ns": "9"}) with data.accord.data.catalogue.questions as {"agency.contact": plain}
	words == set()
}

test_an_unknown_question_is_said_before_an_unknown_purpose if {
	question := asking("/request/question_id", "agency.secrets")
	data.accord.unlisted == "QUESTION_UNKNOWN" with input as data.accord.examples.changed(question, "/request/purpose", "curiosity")
}

test_the_broker_permits_a_question_as_a_whole if {
	data.accord.query.question_permit == true with input as data.accord.examples.early_help
	data.accord.query.question_permit == false with input as asking("/entrypoint", "node")
	data.accord.query.question_permit == false with input as asking("/schema_version", 2)
	data.accord.query.question_permit == false with input as asking("/user/aal", 1)
	found := data.accord.query.question_permit with input as data.accord.examples.early_help with data.accord.query.own_permit as false
	found == false
}

test_agreements_of_nobody_cover_nobody if {
	data.accord.query.everybody_covered("required", {}) == false
}

here(path, value) := data.accord.examples.changed(data.accord.examples.before_linking, path, value)

found_here(path, value) := data.accord.examples.changed(data.accord.examples.after_linking, path, value)

test_the_agency_permits_a_question_as_a_whole if {
	target := data.accord.examples.before_linking.targets[0]
	data.accord.node.question_permit == true with input as data.accord.examples.before_linking
	data.accord.node.question_permit == false with input as here("/entrypoint", "query")
	data.accord.node.question_permit == false with input as here("/schema_version", 2)
	data.accord.node.question_permit == false with input as here("/user/role", "auditor")
	two := object.union(target, {"responder": object.union(target.responder, {"agency_id": "police"})})
	data.accord.node.question_permit == false with input as here("/targets", [target, two])
}

test_the_agency_permits_what_its_own_record_permits if {
	data.accord.node.local_permit("not_operative") == true with input as data.accord.examples.before_linking
	data.accord.node.local_permit("not_operative") == true with input as data.accord.examples.after_linking
	data.accord.node.local_permit("not_operative") == false with input as found_here("/subjects", [])
	data.accord.node.local_permit("not_operative") == false with input as found_here("/local/shielded", true)
	data.accord.node.local_permit("required") == false with input as found_here("/local/agreement_binds", false)
	data.accord.node.local_permit("not_operative") == false with input as found_here("/local", "nothing")
	twice := array.concat(data.accord.examples.after_linking.subjects, data.accord.examples.after_linking.subjects)
	data.accord.node.local_permit("not_operative") == false with input as found_here("/subjects", twice)
}

test_a_question_is_permitted_in_its_own_form if {
	person := data.accord.examples.changed(data.accord.examples.early_help, "/request/subject_kind", "person")
	data.accord.questions.family.known.permit == false with input as data.accord.examples.changed(person, "/request/question_id", "family.known")
	data.accord.questions.family.known_anywhere.permit == false with input as data.accord.examples.changed(person, "/request/question_id", "family.known_anywhere")
	adults := json.patch(data.accord.examples.early_help, [
		{"op": "replace", "path": "/request/question_id", "value": "assessment.done"},
		{"op": "replace", "path": "/subjects", "value": [data.accord.examples.early_help.subjects[1]]},
	])
	data.accord.questions.assessment.done.permit == false with input as adults
}
