package accord.grounds_test

test_law_13_isa_starts_at_its_instant if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.isa as object.union(data.accord.data.isa, {"midshire-children": {"effective_from_ns": 1795310625000000001}})
	word == {"ISA_EXPIRED"}
}

test_law_13_isa_ends_at_its_instant if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.isa as object.union(data.accord.data.isa, {"midshire-children": {"effective_to_ns": 1795310625000000000}})
	word == {"ISA_EXPIRED"}
}

test_law_13_isa_lives_one_nanosecond_before_its_end if {
	word := data.accord.examples.asked(data.accord.examples.s47_enquiry, "police") with data.accord.data.isa as object.union(data.accord.data.isa, {"midshire-children": {"effective_to_ns": 1795310625000000001}})
	word.allow == true
}

test_law_13_isa_until_of_the_holder_counts_too if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/isa_until_ns", 1795310625000000000), "police") == {"ISA_EXPIRED"}
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/responder/isa_until_ns", null), "police") == {"ISA_EXPIRED"}
}

test_a_sharing_agreement_that_was_not_named_does_not_count if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/isa_id", "another"), "police") == {"ISA_EXPIRED"}
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/targets/1/isa_id", null), "police") == {"ISA_EXPIRED"}
}

test_a_sharing_agreement_of_other_agencies_does_not_count if {
	"ISA_EXPIRED" in data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/requester/agency_id", "school"), "police")
}

test_a_sharing_agreement_for_other_questions_does_not_count if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.isa as object.union(data.accord.data.isa, {"midshire-children": {"questions": {"agency.contact": false}}})
	word == {"ISA_EXPIRED"}
}

test_a_sharing_agreement_for_other_purposes_does_not_count if {
	word := data.accord.examples.codes(data.accord.examples.s47_enquiry, "police") with data.accord.data.isa as object.union(data.accord.data.isa, {"midshire-children": {"purposes": {"s47_enquiry": false}}})
	word == {"ISA_EXPIRED"}
}

test_a_sharing_agreement_named_is_a_grant if {
	{"id": "sharing_agreement", "gateway": "common_law_police", "ref": "midshire-children"} in data.accord.examples.asked(data.accord.examples.s47_enquiry, "police").grants
}
