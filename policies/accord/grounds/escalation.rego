package accord.grounds

# METADATA
# title: A manager has taken the question over from an agreement to another gateway
# description: >
#   Only for a purpose that may, to a gateway between two bodies that lets share by itself, by a named manager who is not
#   the asker, with a reason of the list, and recorded before the question. What rested on consent under data protection
#   law stays closed below the threshold of harm.
default escalated(_, _) := false

escalated(purpose, gateway) if {
	purpose.agreement == "required"
	purpose.may_escalate == true
	gateway.type in {"duty", "power", "common_law"}
	gateway.within_one_controller == false
	input.request.model_id == null
	data.accord.grounds.somebody_else(input.escalation.manager_token, input.user.token) == true
	is_string(data.accord.data.limits.escalation_codes[input.escalation.reason_code])
	is_number(input.escalation.ledger_index)
	input.escalation.ledger_index >= 0
	may_be_replaced(data.accord.data.gateways[input.escalation.replaces_gateway]) == true
	count([1 | some agreement in input.agreements; agreement.kind != "service_agreement"]) == 0
}

# METADATA
# title: What is replaced is an agreement to a service, and not consent under data protection law
default may_be_replaced(_) := false

may_be_replaced(replaced) if {
	replaced.type == "agreement"
	count([1 | some basis, _ in replaced.art6; basis == "a"]) == 0
}

# METADATA
# title: Nobody withdrew, or a manager has taken the question over to another gateway
# description: Nothing goes over from one gateway to another by itself.
# custom: {code: ESCALATION_MISSING}
default switch_settled(_, _) := false

switch_settled(purpose, _) if purpose.may_escalate == false

switch_settled(_, gateway) if gateway.type == "agreement"

switch_settled(_, _) if count([1 | some agreement in input.agreements; data.accord.grounds.not_withdrawn(agreement) != true]) == 0

switch_settled(purpose, gateway) if escalated(purpose, gateway) == true
