package accord.grounds

# METADATA
# title: A condition for special category data is claimed, where the question asks about such data
art9_settled contains id if {
	some id in responders
	question.sensitivity in {"ordinary", "criminal"}
}

art9_settled contains t.responder.agency_id if {
	some t in input.targets
	question.sensitivity in {"special", "sensitive_service"}
	t.art9 in {"c", "g", "h"}
	some condition in data.accord.data.limits.sch1_conditions[t.art9]
	condition == t.sch1
}

# METADATA
# title: A condition for criminal offence data is claimed, where the question asks about such data
crime_settled contains id if {
	some id in responders
	question.sensitivity in {"ordinary", "special", "sensitive_service"}
}

crime_settled contains t.responder.agency_id if {
	some t in input.targets
	question.sensitivity == "criminal"
	t.responder.regime == "part2"
	t.crime in {"official_authority", "sch1"}
}

crime_settled contains t.responder.agency_id if {
	some t in input.targets
	question.sensitivity == "criminal"
	t.responder.regime == "part3"
	t.crime == "part3_sch8"
}

# METADATA
# title: The appropriate policy document is in date, where the question needs one
apd_in_date contains id if {
	some id in responders
	question.sensitivity == "ordinary"
}

apd_in_date contains t.responder.agency_id if {
	some t in input.targets
	is_number(t.responder.apd_until_ns)
	at < t.responder.apd_until_ns
}

# METADATA
# title: Not a sensitive service, or a purpose that reaches it
# description: Below a section 47 enquiry, sensitive services have no rules yet, so they are refused.
sensitive_settled contains t.responder.agency_id if {
	some t in input.targets
	t.responder.sensitivity == "ordinary"
	question.sensitivity in {"ordinary", "special", "criminal"}
}

sensitive_settled contains id if {
	some id in responders
	purpose.reaches_sensitive_services == true
}
