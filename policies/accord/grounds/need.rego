package accord.grounds

# METADATA
# title: The need stated is as high as the question asks
# custom: {code: TIER_TOO_LOW}
default tier_enough(_, _) := false

tier_enough(purpose, _) if purpose.tier_required == false

tier_enough(_, question) if {
	is_number(input.request.need_tier)
	input.request.need_tier >= question.min_tier
}

# METADATA
# title: The need stated belongs to the purpose
# custom: {code: TIER_OUT_OF_RANGE}
default tier_in_range(_) := false

tier_in_range(purpose) if purpose.tier_required == false

tier_in_range(purpose) if {
	is_number(input.request.need_tier)
	input.request.need_tier >= purpose.min_tier
	input.request.need_tier <= purpose.max_tier
}

# METADATA
# title: Why the answer is needed is stated with a code of the list
# custom: {code: NECESSITY_MISSING}
default necessity_stated(_) := false

necessity_stated(request) if is_string(data.accord.data.limits.necessity_codes[request.necessity_code])
