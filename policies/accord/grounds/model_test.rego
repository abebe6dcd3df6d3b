package accord.grounds_test

# A model that gives a band, declared for one question.
declared_model := {"strain_band": {
	"title": "Strain on a family, as a band",
	"questions": ["agency.contact"],
	"verified": false,
	"effective_from_ns": 0,
	"effective_to_ns": 9223372036854775807,
}}

named_model := json.patch(data.accord.examples.early_help, [
	{"op": "replace", "path": "/request/model_id", "value": "strain_band"},
	{"op": "replace", "path": "/request/answer_form", "value": "band"},
])

scored(question, models, form) := word if {
	contact := data.accord.data.catalogue.questions["agency.contact"]
	questions := object.union(data.accord.data.catalogue.questions, {"agency.contact": object.union(contact, {"answer": form})})
	word := data.accord.query.decision.by_target.housing with input as question
		with data.accord.data.catalogue.questions as questions
		with data.accord.data.models as models
}

scored_codes(question, models, form) := {d.code | some d in scored(question, models, form).denials}

test_law_30_a_declared_model_with_the_family_told_and_agreeing_is_allowed if {
	word := scored(named_model, declared_model, "band")
	word.allow == true
	word.answer_form == "band"
}

test_law_30_no_model_is_declared_as_shipped if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/request/model_id", "strain_band"), "housing") == {"MODEL_NOT_DECLARED"}
}

test_law_30_no_silent_score if {
	scored_codes(data.accord.examples.changed(named_model, "/request/model_id", null), declared_model, "band") == {"MODEL_NOT_DECLARED"}
}

test_law_30_another_model_than_the_declared_one_is_refused if {
	scored_codes(data.accord.examples.changed(named_model, "/request/model_id", "guess"), declared_model, "band") == {"MODEL_NOT_DECLARED"}
	scored_codes(named_model, {"strain_band": object.union(declared_model.strain_band, {"questions": ["family.known"]})}, "band") == {"MODEL_NOT_DECLARED"}
}

test_law_30_a_model_answers_with_a_band_and_never_a_number if {
	scored_codes(data.accord.examples.changed(named_model, "/request/answer_form", "recency"), declared_model, "recency") == {"MODEL_NOT_DECLARED"}
}

test_law_30_a_model_is_in_force_at_its_instant if {
	scored_codes(named_model, {"strain_band": object.union(declared_model.strain_band, {"effective_from_ns": 1795310625000000001})}, "band") == {"MODEL_NOT_DECLARED"}
	scored(named_model, {"strain_band": object.union(declared_model.strain_band, {"effective_from_ns": 1795310625000000000})}, "band").allow == true
	scored_codes(named_model, {"strain_band": object.union(declared_model.strain_band, {"effective_to_ns": 1795310625000000000})}, "band") == {"MODEL_NOT_DECLARED"}
	scored(named_model, {"strain_band": object.union(declared_model.strain_band, {"effective_to_ns": 1795310625000000001})}, "band").allow == true
}

test_law_30_an_unchecked_model_stays_out_of_production if {
	found := data.accord.grounds.model_verified({"verified": false}) with data.accord.data.profile as "production"
	found == false
	checked := data.accord.grounds.model_verified({"verified": true}) with data.accord.data.profile as "production"
	checked == true
}

test_law_30_the_family_was_told if {
	later := data.accord.examples.changed(named_model, "/told", {"state": "not_told", "reason": "impracticable", "review_at_ns": 1795310625000000001})
	scored_codes(later, declared_model, "band") == {"TOLD_REASON_MISSING"}
}

test_law_30_the_family_agreed_even_above_the_threshold_of_harm if {
	question := json.patch(data.accord.examples.s47_enquiry, [
		{"op": "replace", "path": "/request/model_id", "value": "strain_band"},
		{"op": "replace", "path": "/request/answer_form", "value": "band"},
	])
	scored_codes(question, declared_model, "band") == {"AGREEMENT_MISSING"}
	scored_codes(data.accord.examples.changed(named_model, "/agreements/0/withdrawn_at_ns", 1), declared_model, "band") == {"AGREEMENT_WITHDRAWN"}
}
