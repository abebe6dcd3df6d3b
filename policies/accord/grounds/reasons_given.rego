package accord.grounds

# METADATA
# title: Why the answer is needed has been stated with a code of the list
default necessity_stated := false

necessity_stated if {
	some code, _ in data.accord.data.limits.necessity_codes
	code == input.request.necessity_code
}

# METADATA
# title: The family's views were sought, or there is a good reason why not
# description: Asked below the threshold of harm only; above it the duty does not depend on them.
default views_sought := false

views_sought if purpose.class != "supportive"

views_sought if {
	purpose.class == "supportive"
	input.request.views_sought in {"yes", "not_safe", "not_practicable"}
}

# METADATA
# title: Why asking is proportionate has been stated with a code of the list
default proportionality_stated := false

proportionality_stated if purpose.class != "supportive"

proportionality_stated if {
	purpose.class == "supportive"
	some code, _ in data.accord.data.limits.proportionality_codes
	code == input.request.proportionality_code
}
