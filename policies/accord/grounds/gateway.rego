package accord.grounds

# METADATA
# title: The gateway claimed is law today
# custom: {code: GATEWAY_NOT_IN_FORCE}
default gateway_in_force(_) := false

gateway_in_force(gateway) if {
	gateway.effective_from_ns <= data.accord.grounds.at
	data.accord.grounds.at < gateway.effective_to_ns
}

# METADATA
# title: A lawyer has checked the gateway and its use for the purpose, where the bundle asks for that
# custom: {code: GATEWAY_UNVERIFIED}
default gateway_verified(_, _) := false

gateway_verified(_, _) if data.accord.data.profile == "demo"

gateway_verified(gateway, purpose) if {
	gateway.verified == true
	purpose.gateways[gateway.id].verified == true
}

# METADATA
# title: The gateway covers both agencies
# custom: {code: GATEWAY_WRONG_PARTIES}
default gateway_covers(_, _) := false

gateway_covers(gateway, responder) if {
	fits(gateway.requester_any, input.requester.characters) == true
	fits(gateway.responder_any, responder.characters) == true
	fits(gateway.responder_kinds, [responder.kind]) == true
}

# METADATA
# title: One of an agency's own legal characters is among those wanted, or any would do
default fits(_, _) := false

fits(wanted, own) if {
	some mine in array.concat(["any"], own)
	wanted[mine] == true
}

# METADATA
# title: The gateway may be claimed for this purpose
# custom: {code: GATEWAY_WRONG_PURPOSE}
default gateway_for_purpose(_, _) := false

gateway_for_purpose(gateway, purpose) if is_boolean(purpose.gateways[gateway.id].verified)

# METADATA
# title: The lawful basis claimed goes with the gateway and with who holds the record
# description: >
#   A public authority's own task (e) is not open to a charity, and the recognised interest (ea) is not open to a
#   public authority.
# custom: {code: GATEWAY_WRONG_PURPOSE}
default basis_fits(_, _) := false

basis_fits(gateway, target) if {
	gateway.art6[target.art6] == true
	open_to(target.art6, fits({"non_public": true}, target.responder.characters)) == true
}

# METADATA
# title: The lawful basis is open to an agency of this kind
default open_to(_, _) := false

open_to(basis, _) if basis in {"a", "c", "d", "f", "part3"}

open_to("e", false) := true

open_to("ea", true) := true

# METADATA
# title: The gateway is law where both agencies are
# custom: {code: JURISDICTION}
default jurisdiction_fits(_, _) := false

jurisdiction_fits(gateway, responder) if {
	gateway.jurisdictions[input.requester.jurisdiction] == true
	gateway.jurisdictions[responder.jurisdiction] == true
}

# METADATA
# title: Two controllers, or one controller using its own records
# custom: {code: SAME_CONTROLLER}
default controllers_fit(_, _) := false

controllers_fit(gateway, responder) if {
	gateway.within_one_controller == false
	is_string(responder.controller_id)
	is_string(input.requester.controller_id)
	responder.controller_id != input.requester.controller_id
}

controllers_fit(gateway, responder) if {
	gateway.within_one_controller == true
	responder.controller_id == input.requester.controller_id
}

# METADATA
# title: What the gateway asks to be stated has been stated
# custom: {code: NECESSITY_MISSING}
default gateway_stated(_) := false

gateway_stated(gateway) if {
	settled(gateway.needs_harm_asserted, input.request.significant_harm_asserted) == true
	settled(gateway.needs_public_task, input.request.public_task_stated) == true
}

# METADATA
# title: The gateway wants no decider, or a senior one is named and says why it is in proportion
# custom: {code: NECESSITY_MISSING}
default decider_named(_) := false

decider_named(gateway) if gateway.needs_decider == false

decider_named(_) if {
	is_string(data.accord.data.limits.proportionality_codes[input.request.proportionality_code])
	data.accord.grounds.somebody_else(input.user.supervisor_token, input.user.token) == true
}

# METADATA
# title: The gateway wants no objective, or both agencies are specified for the one stated
# custom: {code: GATEWAY_WRONG_PARTIES}
default objective_shared(_, _) := false

objective_shared(gateway, _) if gateway.needs_objective == false

objective_shared(_, agency) if {
	is_string(data.accord.data.limits.dea_objectives[input.request.dea_objective])
	data.accord.data.agencies[input.requester.agency_id].objectives[input.request.dea_objective] == true
	data.accord.data.agencies[agency].objectives[input.request.dea_objective] == true
}

# METADATA
# title: What the gateway needs stated was stated
default settled(_, _) := false

settled(false, _) := true

settled(true, true) := true

# METADATA
# title: The question is about a child, where the gateway is for children
# custom: {code: NO_CHILD_IN_QUESTION}
default child_settled(_, _) := false

child_settled(gateway, _) if gateway.child_nexus == false

child_settled(_, true) := true

# METADATA
# title: Nobody unborn, or a gateway that reaches before birth
# custom: {code: UNBORN_NOT_COVERED}
default unborn_settled(_, _) := false

unborn_settled(gateway, _) if gateway.unborn_ok == true

unborn_settled(_, true) := true
