# METADATA
# scope: package
# title: An agency's own decision
# description: >
#   Made twice at the agency that holds the record: before anybody is linked, when nothing about the people is known, and
#   again for each person who was linked, with what the agency's own record says. It checks again everything the agency
#   can see, and may only refuse more: an agency's own rules (package accord.overlay) can add refusals and nothing else.
package accord.node

# METADATA
# title: The decision for this agency
# entrypoint: true
decision := {"by_target": by_target}

by_target[id] := {
	"allow": allowed(id),
	"subjects": subjects_if(allowed(id)),
	"grants": [g | some g in grants[id]],
	"denials": [d | some d in denials[id]],
	"obligations": [],
	"agreement": {"mode": mode(id), "used": [], "missing": []},
	"answer_form": form_if(allowed(id)),
	"warrant": {
		"ttl_s": data.accord.data.limits.warrant_ttl_s,
		"max_subjects": data.accord.data.limits.max_subjects,
	},
} if {
	some id in data.accord.grounds.responders
}

# METADATA
# title: Everything that must hold of the question as a whole
default question_permit := false

question_permit if {
	input.entrypoint == "node"
	input.schema_version == 1
	count(input.targets) == 1
	data.accord.grounds.question_known
	data.accord.grounds.question_current
	data.accord.grounds.purpose_allowed
	data.accord.grounds.purpose_verified
	data.accord.grounds.role_allowed
	data.accord.grounds.agencies_listed_once
	local_permit
}

# METADATA
# title: Nobody is linked yet, or the agency's own record stands in no way
default local_permit := false

local_permit if {
	input.local == null
	count(input.subjects) == 0
}

local_permit if {
	input.local != null
	data.accord.grounds.local_complete
	data.accord.grounds.agreement_binds
	count(data.accord.grounds.local_marks) == 0
}

permitted contains id if {
	question_permit
	some id in ((((((data.accord.grounds.gateway_granted & data.accord.grounds.answers_it) & data.accord.grounds.taking_part) & data.accord.grounds.one_regime) & data.accord.grounds.sharing_covers) & data.accord.grounds.dpia_in_date) & data.accord.grounds.sensitive_settled)
}

grants[id] contains {"id": data.accord.grounds.gateway[id].type, "gateway": data.accord.grounds.gateway[id].id, "ref": ""} if {
	some id in data.accord.grounds.gateway_granted
}

overlay_refusals := {d | some d in data.accord.overlay.refusals}

shared_denials := (data.accord.core_refusals | data.accord.local_refusals) | overlay_refusals

denials[id] contains d if {
	some id in data.accord.grounds.responders
	some d in shared_denials
}

denials[id] contains d if {
	some id in data.accord.grounds.responders
	some d in data.accord.target_refusals[id]
}

default allowed(_) := false

allowed(id) if {
	some p in permitted
	p == id
	count(grants[id]) > 0
	count({d | some d in denials[id]}) == 0
}

default subjects_if(_) := []

subjects_if(true) := [r | some r in data.accord.grounds.people]

default form_if(_) := "none"

form_if(true) := data.accord.grounds.question.answer

default mode(_) := "not_applicable"

mode(id) := data.accord.grounds.agreement_mode[id]
