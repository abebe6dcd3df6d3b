package accord.grounds

# METADATA
# title: The purpose stated
purpose := data.accord.data.purposes[input.request.purpose]

# METADATA
# title: The question may be asked for this purpose, and the purpose is in force
default purpose_allowed := false

purpose_allowed if {
	some p in question.purposes
	p == input.request.purpose
	purpose.effective_from_ns <= at
	at < purpose.effective_to_ns
}

# METADATA
# title: The law behind the purpose has been checked, where the bundle asks for that
default purpose_verified := false

purpose_verified if data.accord.data.profile == "demo"

purpose_verified if purpose.verified == true
