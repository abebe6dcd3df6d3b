package accord.grounds

# METADATA
# title: What part an agreement plays
# description: >
#   required, not_operative or not_applicable, as the purpose or the gateway claimed says. Where a model makes the answer
#   it is always required.
default agreement_mode(_, _) := "required"

agreement_mode(purpose, gateway) := purpose.agreement if {
	purpose.agreement in {"not_operative", "not_applicable"}
	gateway.type in {"duty", "power", "common_law", "vital_interest"}
	input.request.model_id == null
}

# A manager has taken the question over to this gateway.
agreement_mode(purpose, gateway) := "not_operative" if data.accord.grounds.escalated(purpose, gateway) == true

# An unknown gateway is refused as such; it does not make an agreement necessary.
agreement_mode(purpose, gateway) := purpose.agreement if count(gateway) == 0

# METADATA
# title: The agreement names the question, the purpose and both agencies
# custom: {code: AGREEMENT_OUT_OF_SCOPE}
default in_scope(_, _) := false

in_scope(agreement, agency) if {
	some question in agreement.questions
	question == input.request.question_id
	some purpose in agreement.purposes
	purpose == input.request.purpose
	some asker in agreement.requesters
	asker == input.requester.agency_id
	some holder in agreement.responders
	holder == agency
}

# METADATA
# title: The agreement was not withdrawn
# custom: {code: AGREEMENT_WITHDRAWN}
default not_withdrawn(_) := false

not_withdrawn(agreement) if {
	agreement.withdrawn_at_ns == null
	agreement.state in {
		"ConsentRequested", "ConsentRequestDeferred", "ConsentGiven", "RenewedConsentGiven",
		"ConsentRefused", "ConsentExpired", "ConsentInvalidated", "ConsentUnknown",
	}
}

# METADATA
# title: The agreement was given
# description: An expired one was given, too; it is refused as expired.
# custom: {code: AGREEMENT_MISSING}
default given(_) := false

given(agreement) if {
	agreement.kind == "service_agreement"
	agreement.state in {"ConsentGiven", "RenewedConsentGiven", "ConsentExpired", "ConsentWithdrawn", "ConsentRevoked"}
}

# METADATA
# title: The agreement is in date
# custom: {code: AGREEMENT_EXPIRED}
default in_date(_) := false

in_date(agreement) if {
	is_number(agreement.valid_from_ns)
	agreement.valid_from_ns <= data.accord.grounds.at
	not_over(agreement.valid_to_ns) == true
	agreement.state != "ConsentExpired"
}

# METADATA
# title: The agreement's end lies ahead, or it has none
default not_over(_) := false

not_over(null) if is_number(data.accord.grounds.at)

not_over(end) if {
	is_number(end)
	data.accord.grounds.at < end
}

# METADATA
# title: The agreement was given by somebody who could give it for this person
# description: >
#   An adult agrees for themself, and never for another adult. A child, or a parent under sixteen, agrees if competent;
#   for a child, somebody who holds parental responsibility may agree, or a court. At 18 what others agreed ends.
# custom: {code: AGREEMENT_WRONG_GIVER}
default right_giver(_, _) := false

right_giver(agreement, subject) if {
	agreement.given_by == "self"
	subject.role in {"parent", "other_adult"}
	subject.age_band in {"16_17", "18_plus", "unknown"}
}

right_giver(agreement, subject) if {
	agreement.given_by == "self"
	subject.competence == "competent"
}

right_giver(agreement, subject) if {
	agreement.given_by in {"parent", "other_pr_holder", "court_order"}
	subject.role == "child"
	subject.age_band in {"0_4", "5_9", "10_15", "16_17", "unknown"}
}

# METADATA
# title: Nobody objects to the agreement
# custom: {code: OBJECTION_PENDING}
default no_objection(_) := false

no_objection(agreement) if agreement.objection in {"none", "overridden"}
