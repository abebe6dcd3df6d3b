package accord.grounds

# METADATA
# title: The need stated is as high as the question asks
default tier_enough := false

tier_enough if {
	is_number(input.request.need_tier)
	input.request.need_tier >= question.min_tier
}

# METADATA
# title: The need stated belongs to the purpose
default tier_in_range := false

tier_in_range if {
	is_number(input.request.need_tier)
	input.request.need_tier >= purpose.min_tier
	input.request.need_tier <= purpose.max_tier
}
