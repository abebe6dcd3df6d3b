package accord.node_test

test_law_21_an_overlay_refusal_refuses if {
	word := data.accord.examples.held(data.accord.examples.after_linking) with data.accord.overlay as {"refusals": [{"code": "SENSITIVE_SERVICE", "ref": ""}]}
	word.allow == false
	word.denials == [{"code": "SENSITIVE_SERVICE", "ref": ""}]
}

test_law_21_an_overlay_cannot_allow if {
	word := data.accord.examples.held(data.accord.examples.changed(data.accord.examples.after_linking, "/local/shielded", true)) with data.accord.overlay as {"allow": true, "permit": true, "decision": {}, "refusals": []}
	word.allow == false
}

test_law_21_the_agency_refuses_what_the_broker_would_for_what_it_sees if {
	data.accord.examples.held_codes(data.accord.examples.changed(data.accord.examples.after_linking, "/targets/0/gateway_id", "good_will")) == {"GATEWAY_UNKNOWN"}
	data.accord.examples.held_codes(data.accord.examples.changed(data.accord.examples.after_linking, "/targets/0/gateway_id", "ca2004_s16LA")) == {"GATEWAY_NOT_IN_FORCE"}
	data.accord.examples.held_codes(data.accord.examples.changed(data.accord.examples.after_linking, "/requester/suspended", true)) == {"AGENCY_SUSPENDED"}
	data.accord.examples.held_codes(data.accord.examples.changed(data.accord.examples.after_linking, "/user/role", "auditor")) == {"ROLE_NARROWER"}
}

test_before_linking_nothing_about_people_is_needed if {
	data.accord.examples.held(data.accord.examples.before_linking).allow == true
}

test_people_before_linking_are_refused if {
	data.accord.examples.held(data.accord.examples.changed(data.accord.examples.before_linking, "/subjects", data.accord.examples.after_linking.subjects)).allow == false
}

test_the_empty_question_gets_no_decision if {
	word := data.accord.node.decision with input as {}
	word == {"by_target": {}}
}

test_without_data_there_is_no_word if {
	count([1 | word := data.accord.node.decision with input as data.accord.examples.after_linking with data.accord.data as {}; word.by_target.housing.allow == true]) == 0
}

test_a_brokers_question_is_not_an_agencys if {
	count([1 | word := data.accord.node.decision with input as data.accord.examples.s47_enquiry; word.by_target.housing.allow == true]) == 0
}

test_a_record_answers_for_one_person_and_no_more if {
	linked := data.accord.examples.after_linking
	nobody := data.accord.examples.held(data.accord.examples.changed(linked, "/subjects", []))
	several := data.accord.examples.held(data.accord.examples.changed(linked, "/subjects", [linked.subjects[0], object.union(linked.subjects[0], {"ref": "s2"})]))
	no_list := data.accord.examples.held(data.accord.examples.changed(linked, "/subjects", {}))
	count([1 | some word in [nobody, several, no_list]; word.allow == false; {"code": "INPUT_INVALID", "ref": "subjects"} in {d | some d in word.denials}]) == 3
}

test_people_that_are_no_list_are_not_nobody if {
	found := data.accord.node.local_permit("not_operative") with input as data.accord.examples.changed(data.accord.examples.before_linking, "/subjects", "")
	found == false
}
