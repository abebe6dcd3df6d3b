package accord.grounds

# METADATA
# title: The person was told, or there is a lawful reason why not yet
default told_settled := false

told_settled if input.told.state == "told"

told_settled if {
	input.told.state == "n_a"
	purpose.class != "supportive"
}

told_settled if {
	input.told.state == "not_told"
	input.told.reason in {"would_increase_risk", "would_prejudice_crime", "impracticable"}
	is_number(input.told.review_at_ns)
}

# METADATA
# title: The day on which not telling is looked at again is near enough
default told_review_soon := false

told_review_soon if input.told.state in {"told", "n_a"}

told_review_soon if {
	input.told.state == "not_told"
	is_number(input.told.review_at_ns)
	at < input.told.review_at_ns
	input.told.review_at_ns <= at + data.accord.data.limits.told_max_delay_ns
}

# A missing reason is refused as such; its missing date is not refused a second time.
told_review_soon if {
	input.told.state == "not_told"
	input.told.review_at_ns == null
}
