package accord.grounds_test

test_law_23_special_needs_a_condition if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"sensitivity": "special"}})
	word == {"ART9_MISSING"}
}

test_law_23_special_with_its_condition_is_allowed if {
	word := data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/art9", "g"), "/targets/1/sch1", "para18_safeguarding"), "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"sensitivity": "special"}})
	word.allow == true
}

test_law_23_special_with_a_condition_that_does_not_go_with_it_is_refused if {
	word := data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/art9", "g"), "/targets/1/sch1", "para2_health_social_care"), "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"sensitivity": "special"}})
	word == {"ART9_MISSING"}
}

test_law_23_criminal_needs_a_condition if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"sensitivity": "criminal"}})
	word == {"CRIME_CONDITION_MISSING"}
}

test_law_23_criminal_with_its_condition_is_allowed if {
	word := data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/crime", "official_authority"), "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"sensitivity": "criminal"}})
	word.allow == true
}

test_law_23_criminal_with_the_other_regimes_condition_is_refused if {
	word := data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/crime", "part3_sch8"), "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"sensitivity": "criminal"}})
	word == {"CRIME_CONDITION_MISSING"}
}

test_law_13_policy_document_expired_at_its_instant if {
	word := data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/crime", "sch1"), "/targets/1/responder/apd_until_ns", 1795310625000000000), "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"sensitivity": "criminal"}})
	word == {"APD_EXPIRED"}
}

test_law_13_policy_document_lives_until_its_instant if {
	word := data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/crime", "sch1"), "/targets/1/responder/apd_until_ns", 1795310625000000001), "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"sensitivity": "criminal"}})
	word.allow == true
}

test_a_sensitive_service_is_refused_below_harm if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.early_help, "/targets/1/responder/sensitivity", "sensitive_service"), "police") == {"SENSITIVE_SERVICE"}
}

test_a_sensitive_service_is_reached_above_harm if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/sensitivity", "sensitive_service"), "police").allow == true
}

test_a_sensitive_question_is_refused_below_harm if {
	word := data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.changed(data.accord.examples.early_help, "/targets/1/art9", "g"), "/targets/1/sch1", "para18_safeguarding"), "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"sensitivity": "sensitive_service"}})
	word == {"SENSITIVE_SERVICE"}
}
