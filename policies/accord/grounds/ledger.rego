package accord.grounds

# METADATA
# title: The ledger is witnessed, or has not been without witnesses for too long
# custom: {code: LEDGER_STALE}
default ledger_not_stale(_) := false

ledger_not_stale(state) if state.ledger in {"fresh", "grace"}

# METADATA
# title: The ledger is witnessed
# description: A stale ledger is refused as stale and not a second time here.
# custom: {code: LEDGER_GRACE}
default ledger_not_in_grace(_) := false

ledger_not_in_grace(state) if state.ledger in {"fresh", "stale"}

# METADATA
# title: The emergency route is not claimed
# description: The emergency route (break-glass) has no rules yet, so claiming it refuses.
# custom: {code: BREAK_GLASS_GROUND}
default ordinary_route(_) := false

ordinary_route(break_glass) if break_glass.claimed == false
