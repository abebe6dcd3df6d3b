package accord.grounds

# METADATA
# title: The ledger is witnessed, or has not been without witnesses for too long
# custom: {code: LEDGER_STALE}
default ledger_not_stale(_) := false

ledger_not_stale(state) if state.ledger in {"fresh", "grace"}

# METADATA
# title: The ledger is witnessed, or there is an emergency
# description: A stale ledger is refused as stale and not a second time here.
# custom: {code: LEDGER_GRACE}
default ledger_not_in_grace(_, _) := false

ledger_not_in_grace(_, state) if state.ledger in {"fresh", "stale"}

ledger_not_in_grace(purpose, state) if {
	state.ledger == "grace"
	purpose.break_glass == true
}
