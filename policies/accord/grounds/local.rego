package accord.grounds

# METADATA
# title: Why this agency keeps its answer back
# description: >
#   Read at an agency only, after its own record was linked. What stands here was decided by a person of that agency; no
#   rule works it out. Each reason is true unless the record says that it does not apply. The cause never leaves the
#   agency.
# custom: {code: WITHHELD_HERE}
held_back(question, own) := {reason |
	some reason, free in {
		"detriment": own.detriment == "none",
		"shielded": own.shielded == false,
		"opt_out": own.opt_out == false,
		"court_restriction": own.court_restriction == false,
		"review": own.review == "auto",
		"linkage": own.linkage in {"matched", "none"},
		"stale": young(question, own),
	}
	free == false
}

# METADATA
# title: The records were brought up to date recently enough for the question
default young(_, _) := false

young(question, own) if {
	is_number(own.data_age_s)
	own.data_age_s >= 0
	own.data_age_s <= question.freshness_limit_s
}

# METADATA
# title: The agreement binds the person who was found, where an agreement is required
# description: With nobody found there is nobody to bind it to; the answer is then not about a record.
# custom: {code: AGREEMENT_NOT_THIS_PERSON}
default binds(_, _) := false

binds("required", own) if own.agreement_binds == true

binds("required", own) if own.linkage == "none"

binds(mode, own) if {
	mode in {"not_operative", "not_applicable"}
	is_string(own.linkage)
}
