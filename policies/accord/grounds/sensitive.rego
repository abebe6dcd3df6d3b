package accord.grounds

# METADATA
# title: A condition for special category data is claimed, where the question asks about such data
# custom: {code: ART9_MISSING}
default art9_settled(_, _) := false

art9_settled(question, _) if question.sensitivity in {"ordinary", "criminal"}

art9_settled(question, target) if {
	question.sensitivity in {"special", "sensitive_service"}
	some condition in data.accord.data.limits.sch1_conditions[target.art9]
	condition == target.sch1
}

# METADATA
# title: A condition for criminal offence data is claimed, where the question asks about such data
# custom: {code: CRIME_CONDITION_MISSING}
default crime_settled(_, _) := false

crime_settled(question, _) if question.sensitivity in {"ordinary", "special", "sensitive_service"}

crime_settled(question, target) if {
	question.sensitivity == "criminal"
	crime_condition(target.responder.regime, target.crime) == true
}

# METADATA
# title: The condition claimed is one for criminal offence data under these rules
default crime_condition(_, _) := false

crime_condition("part2", crime) if crime in {"official_authority", "sch1"}

crime_condition("part3", "part3_sch8") := true

# METADATA
# title: The appropriate policy document is in date, where the question needs one
# custom: {code: APD_EXPIRED}
default apd_in_date(_, _) := false

apd_in_date(question, _) if question.sensitivity == "ordinary"

apd_in_date(_, responder) if {
	is_number(responder.apd_until_ns)
	data.accord.grounds.at < responder.apd_until_ns
}

# METADATA
# title: Not a sensitive service, or a purpose that reaches it
# description: Below a child protection enquiry, sensitive services have no rules yet, so they are refused.
# custom: {code: SENSITIVE_SERVICE}
default sensitive_settled(_, _, _) := false

sensitive_settled(question, _, responder) if {
	responder.sensitivity == "ordinary"
	question.sensitivity in {"ordinary", "special", "criminal"}
}

sensitive_settled(_, purpose, _) if purpose.reaches_sensitive_services == true
