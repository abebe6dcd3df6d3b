# METADATA
# scope: package
# title: An agency's own decision
# description: >
#   Made twice at the agency that holds the record: before anybody is linked, when nothing about the people is known, and
#   again for each slot, with what the agency's own record says. It checks again everything the agency can see, and may
#   only refuse more: an agency's own rules (package accord.overlay) can add refusals and nothing else.
package accord.node

# METADATA
# title: The decision for this agency
# entrypoint: true
decision := {"by_target": {t.responder.agency_id: word(t, data.accord.gateway(t), data.accord.unlisted) | some t in input.targets}}

# METADATA
# title: Whether every ground about the question as a whole was found
default question_permit := false

question_permit if {
	input.entrypoint == "node"
	input.schema_version == 1
	count(input.targets) == 1
	count(core_denials) == 0
}

# METADATA
# title: Refusals of the question as a whole
core_denials := data.accord.lacking([data.accord.core_checks])

# METADATA
# title: Nobody is linked yet, or the agency's own record stands in no way
default local_permit(_) := false

local_permit(_) if {
	input.local == null
	is_array(input.subjects)
	count(input.subjects) == 0
}

local_permit(mode) if {
	is_object(input.local)
	data.accord.grounds.one_person(input.subjects) == true
	data.accord.grounds.binds(mode, input.local) == true
	count(data.accord.grounds.held_back(data.accord.question, input.local)) == 0
}

# METADATA
# title: Grounds about one person and the agency's own record
local_checks(mode) := {
	"INPUT_INVALID subjects": data.accord.grounds.one_person(input.subjects),
	"AGREEMENT_NOT_THIS_PERSON": data.accord.grounds.binds(mode, input.local),
}

# METADATA
# title: Refusals out of the agency's own record
local_denials(_) := set() if input.local == null

local_denials(mode) := data.accord.lacking([local_checks(mode)]) | {{"code": "WITHHELD_HERE", "ref": reason} |
	some reason in data.accord.grounds.held_back(data.accord.question, input.local)
} if {
	is_object(input.local)
}

# METADATA
# title: Refusals out of the agency's own rules
own_refusals := {{"code": d.code, "ref": d.ref} | some d in data.accord.overlay.refusals}

# METADATA
# title: The word of this agency
word(_, _, unlisted) := data.accord.unlisted_word if unlisted != ""

word(t, gateway, "") := {
	"allow": allow,
	"subjects": subjects(allow),
	"grants": [g | some g in grants],
	"denials": [d | some d in denials],
	"obligations": [],
	"agreement": {"mode": mode, "used": [], "missing": []},
	"answer_form": form(allow),
	"warrant": data.accord.warrant,
} if {
	mode := data.accord.grounds.agreement_mode(data.accord.purpose, gateway)
	gateway_denials := data.accord.lacking([data.accord.gateway_checks(gateway, t.responder)])
	target_denials := data.accord.lacking([data.accord.target_checks(t, data.accord.grounds.sharing_agreements(t))])
	grants := granted(count(gateway_denials) == 0, gateway)
	denials := core_denials | (gateway_denials | (target_denials | (local_denials(mode) | own_refusals)))
	allow := permit(question_permit, local_permit(mode), count(grants) > 0, count(denials) == 0)
}

# METADATA
# title: Allowed only with every ground found, a grant, and no refusal
default permit(_, _, _, _) := false

permit(true, true, true, true) := true

# METADATA
# title: Grants, namely the gateway claimed and nothing else
granted(false, _) := set()

granted(true, gateway) := {{"id": gateway.type, "gateway": gateway.id, "ref": ""}}

# METADATA
# title: Whom the decision covers, everybody asked about or nobody
subjects(false) := []

subjects(true) := [r | some r in {s.ref | some s in input.subjects}]

# METADATA
# title: In which form it may be answered
form(false) := "none"

form(true) := data.accord.question.answer
