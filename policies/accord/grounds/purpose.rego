package accord.grounds

# METADATA
# title: The question may be asked for this purpose, and the purpose is in force
# custom: {code: PURPOSE_NOT_ALLOWED}
default purpose_allowed(_, _) := false

purpose_allowed(question, purpose) if {
	some allowed in question.purposes
	allowed == purpose.id
	purpose.effective_from_ns <= data.accord.grounds.at
	data.accord.grounds.at < purpose.effective_to_ns
}

# METADATA
# title: The law behind the purpose has been checked, where the bundle asks for that
# custom: {code: GATEWAY_UNVERIFIED}
default purpose_verified(_) := false

purpose_verified(_) if data.accord.data.profile == "demo"

purpose_verified(purpose) if purpose.verified == true
