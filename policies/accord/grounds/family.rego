package accord.grounds

# METADATA
# title: The family's views were sought, or there is a good reason why not
# description: Asked below the threshold of harm only; above it the duty does not depend on them.
# custom: {code: VIEWS_NOT_SOUGHT}
default views_sought(_) := false

views_sought(purpose) if purpose.class in {"protective", "administrative"}

views_sought(purpose) if {
	purpose.class == "supportive"
	input.request.views_sought in {"yes", "not_safe", "not_practicable"}
}

# METADATA
# title: Why asking is in proportion is stated with a code of the list, below the threshold of harm
# custom: {code: PROPORTIONALITY_MISSING}
default proportionality_stated(_) := false

proportionality_stated(purpose) if purpose.class in {"protective", "administrative"}

proportionality_stated(purpose) if {
	purpose.class == "supportive"
	is_string(data.accord.data.limits.proportionality_codes[input.request.proportionality_code])
}

# METADATA
# title: The person was told, or there is a lawful reason why not yet and a day to look at it again
# custom: {code: TOLD_REASON_MISSING}
default told_settled(_) := false

told_settled(_) if input.told.state == "told"

told_settled(purpose) if {
	input.told.state == "n_a"
	purpose.class in {"protective", "administrative"}
}

told_settled(_) if {
	input.told.state == "not_told"
	input.told.reason in {"would_increase_risk", "would_prejudice_crime", "impracticable"}
	is_number(input.told.review_at_ns)
}

# METADATA
# title: The day on which not telling is looked at again lies ahead and is near enough
# description: Where no day is stated, that is refused as a missing reason and not a second time here.
# custom: {code: TOLD_REVIEW_TOO_LATE}
default told_review_soon(_) := false

told_review_soon(told) if told.state in {"told", "n_a"}

told_review_soon(told) if {
	told.state == "not_told"
	told.review_at_ns == null
}

told_review_soon(told) if {
	told.state == "not_told"
	is_number(told.review_at_ns)
	data.accord.grounds.at < told.review_at_ns
	told.review_at_ns <= data.accord.grounds.at + data.accord.data.limits.told_max_delay_ns
}
