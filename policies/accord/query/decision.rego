# METADATA
# scope: package
# title: The broker's decision
# description: >
#   One evaluation decides every agency addressed. An agency is allowed only if every ground was found, at least one grant
#   came of it, and no refusal stands. The empty question gets no decision, which is a refusal.
package accord.query

# METADATA
# title: The decision, agency by agency
# entrypoint: true
decision := {"by_target": {agency: together(w, alone) | some agency, w in words}}

# METADATA
# title: The word on each agency by itself
words := {t.responder.agency_id: word(t, data.accord.gateway(t), data.accord.unlisted) | some t in input.targets}

# METADATA
# title: Too few agencies may be asked for their answers to be put together
alone := data.accord.lacking([{"TOO_FEW_AGENCIES": data.accord.grounds.answers_hidden(data.accord.question, count([1 | some w in words; w.allow == true]))}])

# METADATA
# title: The word on one agency, once the others are known
together(w, _) := w if w.allow == false

together(w, alone) := w if {
	w.allow == true
	count(alone) == 0
}

together(w, alone) := object.union(w, {
	"allow": false,
	"subjects": [],
	"grants": [],
	"denials": [d | some d in alone],
	"obligations": [],
	"agreement": {"mode": w.agreement.mode, "used": [], "missing": []},
	"answer_form": "none",
}) if {
	w.allow == true
	count(alone) > 0
}

# METADATA
# title: Refusals of the question as a whole
question_denials := data.accord.lacking([
	data.accord.core_checks,
	data.accord.asserted_checks,
	data.accord.purpose_checks,
]) | own_refusals

# METADATA
# title: Whether every ground about the question as a whole was found
default question_permit := false

question_permit if {
	input.entrypoint == "query"
	input.schema_version == 1
	count(question_denials) == 0
	own_permit == true
}

# METADATA
# title: The word on one agency
word(_, _, unlisted) := data.accord.unlisted_word if unlisted != ""

word(t, gateway, "") := {
	"allow": allow,
	"subjects": subjects(allow),
	"grants": [g | some g in grants],
	"denials": [d | some d in denials],
	"obligations": obligations(allow, gateway),
	"agreement": {"mode": mode, "used": used(allow, covering), "missing": [c | some c in {d.code | some d in missing}]},
	"answer_form": form(allow),
	"warrant": data.accord.warrant,
} if {
	agency := t.responder.agency_id
	sharing := data.accord.grounds.sharing_agreements(t)
	gateway_denials := data.accord.lacking(data.accord.gateway_tables(gateway, t))
	target_denials := data.accord.lacking([data.accord.target_checks(t, sharing), data.accord.condition_checks(t)])
	mode := data.accord.grounds.agreement_mode(data.accord.purpose, gateway)
	covering := coverage(mode, agency)
	covered := everybody_covered(mode, covering)
	missing := agreements_missing(covered, covering, agency) | objections(data.accord.grounds.escalated(data.accord.purpose, gateway))
	grants := granted(count(gateway_denials) == 0, gateway, sharing, covering)
	denials := question_denials | (gateway_denials | (target_denials | missing))
	allow := permit(question_permit, covered, count(grants) > 0, count(denials) == 0)
}

# METADATA
# title: Allowed only with every ground found, a grant, and no refusal
default permit(_, _, _, _) := false

permit(true, true, true, true) := true

# METADATA
# title: The agreements that hold, person by person
# description: Not looked at where agreements are not needed.
coverage(mode, _) := {} if mode in {"not_operative", "not_applicable"}

coverage("required", agency) := {s.ref: data.accord.holding(s, agency) | some s in input.subjects}

# METADATA
# title: Agreements are not needed, or one holds for everybody
default everybody_covered(_, _) := false

everybody_covered(mode, _) if mode in {"not_operative", "not_applicable"}

everybody_covered("required", covering) if {
	count(covering) > 0
	count([1 | some records in covering; count(records) > 0]) == count(covering)
}

# METADATA
# title: The people for whom no agreement holds, with why
agreements_missing(true, _, _) := set()

agreements_missing(false, covering, agency) := {d |
	some s in input.subjects
	count(covering[s.ref]) == 0
	some d in data.accord.uncovered(s, agency)
}

# METADATA
# title: Who objects, where a manager has taken the question over to another gateway
# description: Escalation stands in the place of an agreement; it does not set aside an objection.
objections(false) := set()

objections(true) := {{"code": "OBJECTION_PENDING", "ref": agreement.subject_ref} |
	some agreement in input.agreements
	data.accord.grounds.no_objection(agreement) != true
}

# METADATA
# title: The agreements on which the decision rests
used(false, _) := []

used(true, covering) := [r | some r in {record | some records in covering; some record in records}]

# METADATA
# title: Grants
# description: Only the gateway that was claimed is looked at, and without it nothing else is a grant.
granted(false, _, _, _) := set()

granted(true, gateway, sharing, covering) := {{"id": gateway.type, "gateway": gateway.id, "ref": ""}} | ({{"id": "sharing_agreement", "gateway": gateway.id, "ref": id} |
	some id in sharing
} | {{"id": "agreement", "gateway": gateway.id, "ref": r} |
	some records in covering
	some r in records
})

# METADATA
# title: Whom the decision covers, everybody asked about or nobody
subjects(false) := []

subjects(true) := people

# METADATA
# title: Everybody asked about
people := [r | some r in {s.ref | some s in input.subjects}]

# METADATA
# title: What must be done with an answer, where there is one
obligations(false, _) := []

obligations(true, gateway) := [o | some o in data.accord.obligations(gateway)]

# METADATA
# title: In which form it may be answered
form(false) := "none"

form(true) := data.accord.question.answer
