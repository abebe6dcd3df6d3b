package accord.grounds

# METADATA
# title: The one gateway claimed towards each agency
gateway[t.responder.agency_id] := row if {
	some t in input.targets
	row := data.accord.data.gateways[t.gateway_id]
}

# METADATA
# title: The gateway claimed is in the list
gateway_known contains id if some id, _ in gateway

# METADATA
# title: The gateway claimed is law today
gateway_in_force contains id if {
	some id, row in gateway
	row.effective_from_ns <= at
	at < row.effective_to_ns
}

# METADATA
# title: A lawyer has checked the gateway and its use for the purpose, where the bundle asks for that
gateway_verified contains id if {
	data.accord.data.profile == "demo"
	some id, _ in gateway
}

gateway_verified contains id if {
	some id, row in gateway
	row.verified == true
	purpose.gateways[row.id].verified == true
}

asker_fits contains id if {
	some id, row in gateway
	some character in row.requester_any
	character == "any"
}

asker_fits contains id if {
	some id, row in gateway
	some character in row.requester_any
	some own in input.requester.characters
	character == own
}

holder_fits contains t.responder.agency_id if {
	some t in input.targets
	some character in gateway[t.responder.agency_id].responder_any
	character == "any"
}

holder_fits contains t.responder.agency_id if {
	some t in input.targets
	some character in gateway[t.responder.agency_id].responder_any
	some own in t.responder.characters
	character == own
}

holder_kind_fits contains id if {
	some id, row in gateway
	some kind in row.responder_kinds
	kind == "any"
}

holder_kind_fits contains t.responder.agency_id if {
	some t in input.targets
	some kind in gateway[t.responder.agency_id].responder_kinds
	kind == t.responder.kind
}

# METADATA
# title: The gateway covers both agencies
gateway_parties := (asker_fits & holder_fits) & holder_kind_fits

# METADATA
# title: The gateway may be claimed for this purpose
gateway_for_purpose contains id if {
	some id, row in gateway
	some p, _ in purpose.gateways
	p == row.id
}

# METADATA
# title: The lawful basis claimed goes with the gateway and with who holds the record
# description: >
#   A public authority's own task (e) is not open to a charity, and the recognised interest (ea) is not open to a
#   public authority. A node is not told the basis and does not check it.
basis_fits contains id if {
	input.entrypoint == "query"
	some id in (basis_listed & holder_may_use)
}

basis_fits contains id if {
	input.entrypoint == "node"
	some id, _ in gateway
}

basis_listed contains t.responder.agency_id if {
	some t in input.targets
	some basis in gateway[t.responder.agency_id].art6
	basis == t.art6
}

non_public contains t.responder.agency_id if {
	some t in input.targets
	some character in t.responder.characters
	character == "non_public"
}

holder_may_use contains t.responder.agency_id if {
	some t in input.targets
	t.art6 in {"a", "c", "d", "f", "part3"}
}

holder_may_use contains t.responder.agency_id if {
	some t in input.targets
	t.art6 == "e"
	some id in (responders - non_public)
	id == t.responder.agency_id
}

holder_may_use contains t.responder.agency_id if {
	some t in input.targets
	t.art6 == "ea"
	some id in non_public
	id == t.responder.agency_id
}

# METADATA
# title: The gateway is law where both agencies are
jurisdiction_fits contains t.responder.agency_id if {
	some t in input.targets
	some asker in gateway[t.responder.agency_id].jurisdictions
	asker == input.requester.jurisdiction
	some holder in gateway[t.responder.agency_id].jurisdictions
	holder == t.responder.jurisdiction
}

# METADATA
# title: Two controllers, or one controller using its own records
controllers_fit contains t.responder.agency_id if {
	some t in input.targets
	gateway[t.responder.agency_id].within_one_controller == false
	t.responder.controller_id != input.requester.controller_id
}

controllers_fit contains t.responder.agency_id if {
	some t in input.targets
	gateway[t.responder.agency_id].within_one_controller == true
	t.responder.controller_id == input.requester.controller_id
}

# METADATA
# title: What the gateway asks to be stated has been stated
# description: A node is not told these statements and does not check them.
stated contains id if {
	input.entrypoint == "query"
	some id, row in gateway
	harm_settled(row.needs_harm_asserted)
	task_settled(row.needs_public_task)
}

stated contains id if {
	input.entrypoint == "node"
	some id, _ in gateway
}

harm_settled(needed) if needed == false

harm_settled(needed) if {
	needed == true
	input.request.significant_harm_asserted == true
}

task_settled(needed) if needed == false

task_settled(needed) if {
	needed == true
	input.request.public_task_stated == true
}

# METADATA
# title: The gateway claimed grants by itself
# description: Only the gateway that was claimed is looked at; no other one can rescue it.
gateway_granted := ((((((((gateway_in_force & gateway_verified) & gateway_parties) & gateway_for_purpose) & basis_fits) & jurisdiction_fits) & controllers_fit) & stated) & child_settled) & unborn_settled
