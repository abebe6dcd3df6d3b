package accord.grounds_test

test_a_dpo_may_not_ask if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/role", "dpo"), "police") == {"ROLE_NARROWER"}
}

test_a_auditor_may_not_ask if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/role", "auditor"), "police") == {"ROLE_NARROWER"}
}

test_a_system_may_not_ask if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/role", "system"), "police") == {"ROLE_NARROWER"}
}

test_a_practitioner_may_ask if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/role", "practitioner"), "police").allow == true
}

test_a_duty_officer_may_ask if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/role", "duty_officer"), "police").allow == true
}

test_a_manager_may_ask if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/role", "manager"), "police").allow == true
}

test_a_role_below_the_questions_is_refused if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.catalogue.questions as object.union(data.accord.data.catalogue.questions, {"agency.contact": {"min_role": "manager"}})
	word == {"ROLE_NARROWER"}
}

test_a_weak_sign_in_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/aal", 1), "police") == {"STEP_UP_REQUIRED"}
}

test_an_old_sign_in_is_refused if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/auth_age_s", 28801), "police") == {"STEP_UP_REQUIRED"}
}

test_a_sign_in_of_just_the_longest_age_is_accepted if {
	data.accord.examples.asked(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/auth_age_s", 28800), "police").allow == true
}

test_a_text_is_no_sign_in if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/user/aal", "3"), "police") == {"STEP_UP_REQUIRED"}
}
