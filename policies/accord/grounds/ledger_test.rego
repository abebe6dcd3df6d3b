package accord.grounds_test

test_a_ledger_in_grace_waits if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/state/ledger", "grace"), "police") == {"LEDGER_GRACE"}
}

test_a_stale_ledger_refuses if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/state/ledger", "stale"), "police") == {"LEDGER_STALE"}
}

test_an_unknown_state_of_the_ledger_refuses if {
	data.accord.examples.codes(data.accord.examples.changed(data.accord.examples.s47_enquiry, "/state/ledger", "fine"), "police") == {"LEDGER_GRACE", "LEDGER_STALE"}
}
