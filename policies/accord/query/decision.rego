# METADATA
# scope: package
# title: The broker's decision
# description: >
#   One evaluation decides every agency addressed. An agency is allowed only if every positive ground was found, at least
#   one grant came of it, and no refusal stands. The empty question is refused.
# entrypoint: true
package accord.query

# METADATA
# title: The decision, agency by agency
# entrypoint: true
decision := {"by_target": by_target}

by_target[id] := {
	"allow": allowed(id),
	"subjects": subjects_if(allowed(id)),
	"grants": [g | some g in grants[id]],
	"denials": [d | some d in denials[id]],
	"obligations": [o | some o in obligations_if(allowed(id), id)],
	"agreement": {
		"mode": mode(id),
		"used": [r | some r in used[id]],
		"missing": [c | some c in missing[id]],
	},
	"answer_form": form_if(allowed(id)),
	"warrant": {
		"ttl_s": data.accord.data.limits.warrant_ttl_s,
		"max_subjects": data.accord.data.limits.max_subjects,
	},
} if {
	some id in data.accord.grounds.responders
}

# --- Grounds ---------------------------------------------------------------------------------------------------------

# METADATA
# title: Everything that must hold of the question as a whole
default question_permit := false

question_permit if {
	input.entrypoint == "query"
	input.schema_version == 1
	data.accord.grounds.question_known
	data.accord.grounds.question_current
	data.accord.grounds.purpose_allowed
	data.accord.grounds.purpose_verified
	data.accord.grounds.role_allowed
	data.accord.grounds.signed_in
	data.accord.grounds.form_fits
	data.accord.grounds.agencies_listed_once
	data.accord.grounds.people_listed_once
	data.accord.grounds.tier_enough
	data.accord.grounds.tier_in_range
	data.accord.grounds.necessity_stated
	data.accord.grounds.views_sought
	data.accord.grounds.proportionality_stated
	data.accord.grounds.told_settled
	data.accord.grounds.told_review_soon
	data.accord.grounds.case_named
	data.accord.grounds.case_not_closed
	data.accord.grounds.ordinary_route
	data.accord.grounds.ledger_fresh
	own_rule_permits
}

parts := split(input.request.question_id, ".")

default own_rule_permits := false

own_rule_permits if {
	count(parts) == 2
	data.accord.questions[parts[0]][parts[1]].permit == true
}

# METADATA
# title: The agencies towards which every ground was found
permitted contains id if {
	question_permit
	some id in ((((((((((data.accord.grounds.gateway_granted & data.accord.grounds.answers_it) & data.accord.grounds.taking_part) & data.accord.grounds.one_regime) & data.accord.grounds.sharing_covers) & data.accord.grounds.dpia_in_date) & data.accord.grounds.sensitive_settled) & data.accord.grounds.art9_settled) & data.accord.grounds.crime_settled) & data.accord.grounds.apd_in_date) & data.accord.grounds.agreement_settled)
}

# --- Grants ----------------------------------------------------------------------------------------------------------

grants[id] contains {"id": data.accord.grounds.gateway[id].type, "gateway": data.accord.grounds.gateway[id].id, "ref": ""} if {
	some id in data.accord.grounds.gateway_granted
}

grants[id] contains {"id": "agreement", "gateway": data.accord.grounds.gateway[id].id, "ref": record} if {
	some id in (data.accord.grounds.gateway_granted & data.accord.grounds.agreement_settled)
	some record in data.accord.grounds.agreements_used[id]
}

grants[id] contains {"id": "sharing_agreement", "gateway": data.accord.grounds.gateway[id].id, "ref": isa} if {
	some id in data.accord.grounds.gateway_granted
	some isa in data.accord.grounds.sharing_agreement[id]
}

# --- Denials ---------------------------------------------------------------------------------------------------------

shared_denials := (data.accord.core_refusals | data.accord.asserted_refusals) | own_denials

own_denials := {d | some d in data.accord.questions[parts[0]][parts[1]].refusals}

denials[id] contains d if {
	some id in data.accord.grounds.responders
	some d in shared_denials
}

denials[id] contains d if {
	some id in data.accord.grounds.responders
	some d in data.accord.target_refusals[id]
}

denials[id] contains d if {
	some id in data.accord.grounds.responders
	some d in data.accord.asserted_target_refusals[id]
}

# --- The word --------------------------------------------------------------------------------------------------------

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

used[id] contains record if {
	some id in data.accord.grounds.agreement_settled
	some record in data.accord.grounds.agreements_used[id]
}

missing[id] contains d.code if {
	some id in data.accord.grounds.responders
	some d in denials[id]
	some code in data.accord.agreement_codes
	code == d.code
}

default obligations_if(_, _) := []

obligations_if(true, id) := data.accord.obligations[id]
