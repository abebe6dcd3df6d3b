# METADATA
# scope: package
# title: Grounds and refusals
# description: >
#   Every ground beside the code of the refusal that stands in its place, in tables. A ground that was not found is a refusal, and a
#   question is permitted only when every ground was found. What a code means to the person asking, what they can do and
#   whom they can ask stands under data/reasons. No text depends on a person.
package accord

# METADATA
# title: The catalogue entry of the question, empty when there is none
question := object.get(data.accord.data.catalogue.questions, input.request.question_id, {})

# METADATA
# title: The purpose stated, empty when it is not in the list
purpose := object.get(data.accord.data.purposes, input.request.purpose, {})

# METADATA
# title: Why nothing can be checked at all, empty when it can
# description: An unknown question or purpose is refused as such; whatever else were said of it would only confuse.
default unlisted := ""

unlisted := "QUESTION_UNKNOWN" if count(question) == 0

unlisted := "PURPOSE_NOT_ALLOWED" if {
	count(question) > 0
	count(purpose) == 0
}

# METADATA
# title: The word on every agency when nothing can be checked
unlisted_word := {
	"allow": false,
	"subjects": [],
	"grants": [],
	"denials": [{"code": unlisted, "ref": ""}],
	"obligations": [],
	"agreement": {"mode": "not_applicable", "used": [], "missing": []},
	"answer_form": "none",
	"warrant": warrant,
}

# METADATA
# title: Bounds of the warrant that may follow
warrant := {"ttl_s": data.accord.data.limits.warrant_ttl_s, "max_subjects": data.accord.data.limits.max_subjects}

# METADATA
# title: Grounds about the question as a whole that everybody can see
core_checks := {
	"QUESTION_UNKNOWN": data.accord.grounds.question_known(question),
	"QUESTION_RETIRED": data.accord.grounds.question_current(question),
	"PURPOSE_NOT_ALLOWED": data.accord.grounds.purpose_allowed(question, purpose),
	"GATEWAY_UNVERIFIED purpose": data.accord.grounds.purpose_verified(purpose),
	"ROLE_NARROWER": data.accord.grounds.role_allowed(question),
	"INPUT_INVALID targets": data.accord.grounds.addressed_once(input.targets),
}

# METADATA
# title: Grounds about the question as a whole that only the broker can see
asserted_checks := {
	"INPUT_INVALID answer_form": data.accord.grounds.form_fits(question),
	"INPUT_INVALID subjects": data.accord.grounds.listed_once(input.subjects),
	"INPUT_INVALID age_band": data.accord.grounds.children_under_age(input.subjects),
	"NECESSITY_MISSING": data.accord.grounds.necessity_stated(input.request),
	"TOLD_REVIEW_TOO_LATE": data.accord.grounds.told_review_soon(input.told),
	"CASE_CLOSED": data.accord.grounds.case_not_closed(input.state),
	"LEDGER_STALE": data.accord.grounds.ledger_not_stale(input.state),
	"MODEL_NOT_DECLARED": data.accord.grounds.model_declared(question),
	"TOLD_REASON_MISSING model": data.accord.grounds.told_of_the_model(input.told),
}

# METADATA
# title: Grounds that depend on what the purpose asks
purpose_checks := {
	"NO_CHILD_IN_QUESTION": data.accord.grounds.people_settled(purpose, input.subjects),
	"STATISTICS_NAMED_PERSON": data.accord.grounds.nobody_named(purpose, input.subjects),
	"STATISTICS_UNDECLARED": data.accord.grounds.table_declared(purpose, question),
	"STEP_UP_REQUIRED": data.accord.grounds.signed_in(purpose, input.user),
	"TIER_TOO_LOW": data.accord.grounds.tier_enough(purpose, question),
	"TIER_OUT_OF_RANGE": data.accord.grounds.tier_in_range(purpose),
	"LEDGER_GRACE": data.accord.grounds.ledger_not_in_grace(purpose, input.state),
	"BREAK_GLASS_GROUND": data.accord.grounds.emergency_settled(purpose, input.break_glass),
	"BREAK_GLASS_GROUND supervisor": data.accord.grounds.supervisor_told(purpose, input.user),
	"BREAK_GLASS_OVERDUE": data.accord.grounds.reviews_done(purpose, input.state),
	"VIEWS_NOT_SOUGHT": data.accord.grounds.views_sought(purpose),
	"PROPORTIONALITY_MISSING": data.accord.grounds.proportionality_stated(purpose),
	"TOLD_REASON_MISSING": data.accord.grounds.told_settled(purpose),
	"CASE_MISSING": data.accord.grounds.case_named(purpose),
}

# METADATA
# title: The gateway claimed towards one agency, empty when it is not in the list
gateway(target) := object.get(data.accord.data.gateways, target.gateway_id, {})

# METADATA
# title: Grounds about one agency that it can check too
target_checks(target, sharing) := {
	"QUESTION_UNKNOWN agency": data.accord.grounds.answers_it(question, target.responder.agency_id),
	"AGENCY_SUSPENDED": data.accord.grounds.taking_part(target.responder),
	"REGIME_MIXED": data.accord.grounds.one_regime(target),
	"ISA_EXPIRED": data.accord.grounds.shared(purpose, sharing),
	"DPIA_EXPIRED": data.accord.grounds.dpia_in_date(target.responder),
	"SENSITIVE_SERVICE": data.accord.grounds.sensitive_settled(question, purpose, target.responder),
}

# METADATA
# title: Grounds about the gateway claimed that the agency can check too
gateway_checks(row, _) := {"GATEWAY_UNKNOWN": false} if count(row) == 0

gateway_checks(row, responder) := {
	"GATEWAY_NOT_IN_FORCE": data.accord.grounds.gateway_in_force(row),
	"GATEWAY_UNVERIFIED": data.accord.grounds.gateway_verified(row, purpose),
	"GATEWAY_WRONG_PARTIES": data.accord.grounds.gateway_covers(row, responder),
	"GATEWAY_WRONG_PURPOSE": data.accord.grounds.gateway_for_purpose(row, purpose),
	"JURISDICTION": data.accord.grounds.jurisdiction_fits(row, responder),
	"SAME_CONTROLLER": data.accord.grounds.controllers_fit(row, responder),
} if {
	count(row) > 0
}

# METADATA
# title: Whether the people asked about are a child and those around it
about_a_child := data.accord.grounds.about_a_child(input.subjects)

# METADATA
# title: Whether everybody asked about is born
all_born := data.accord.grounds.all_born(input.subjects)

# METADATA
# title: Grounds about the gateway claimed that only the broker can check
gateway_claim_checks(row, target) := {
	"GATEWAY_WRONG_PURPOSE art6": data.accord.grounds.basis_fits(row, target),
	"NECESSITY_MISSING gateway": data.accord.grounds.gateway_stated(row),
	"NECESSITY_MISSING decider": data.accord.grounds.decider_named(row),
	"GATEWAY_WRONG_PARTIES objective": data.accord.grounds.objective_shared(row, target.responder.agency_id),
	"BREAK_GLASS_GROUND gateway": data.accord.grounds.emergency_fits(row),
	"ESCALATION_MISSING": data.accord.grounds.switch_settled(purpose, row),
	"NO_CHILD_IN_QUESTION": data.accord.grounds.child_settled(row, about_a_child),
	"UNBORN_NOT_COVERED": data.accord.grounds.unborn_settled(row, all_born),
}

# METADATA
# title: Conditions for sensitive data, which only the broker can check
condition_checks(_) := {} if question.sensitivity == "ordinary"

condition_checks(target) := {
	"ART9_MISSING": data.accord.grounds.art9_settled(question, target),
	"CRIME_CONDITION_MISSING": data.accord.grounds.crime_settled(question, target),
	"APD_EXPIRED": data.accord.grounds.apd_in_date(question, target.responder),
} if {
	question.sensitivity != "ordinary"
}

# METADATA
# title: One agreement, shown for one person towards one agency
agreement_checks(agreement, subject, agency) := {
	"AGREEMENT_MISSING": data.accord.grounds.given(agreement),
	"AGREEMENT_OUT_OF_SCOPE": data.accord.grounds.in_scope(agreement, agency),
	"AGREEMENT_WITHDRAWN": data.accord.grounds.not_withdrawn(agreement),
	"AGREEMENT_EXPIRED": data.accord.grounds.in_date(agreement),
	"AGREEMENT_WRONG_GIVER": data.accord.grounds.right_giver(agreement, subject),
	"OBJECTION_PENDING": data.accord.grounds.no_objection(agreement),
}

# METADATA
# title: The agreements that hold for one person towards one agency
holding(subject, agency) := {agreement.record_id |
	some agreement in input.agreements
	agreement.subject_ref == subject.ref
	count([1 | some found in agreement_checks(agreement, subject, agency); found != true]) == 0
}

# METADATA
# title: Why one person is not covered towards one agency
# description: Every shortcoming of every agreement shown for that person, or that none was shown.
uncovered(subject, agency) := {{"code": code, "ref": subject.ref} |
	some agreement in input.agreements
	agreement.subject_ref == subject.ref
	some code, found in agreement_checks(agreement, subject, agency)
	found != true
} | {{"code": "AGREEMENT_MISSING", "ref": subject.ref} |
	count([a | some a in input.agreements; a.subject_ref == subject.ref]) == 0
}

# METADATA
# title: The tables about the gateway claimed
gateway_tables(row, _) := [{"GATEWAY_UNKNOWN": false}] if count(row) == 0

gateway_tables(row, target) := [gateway_checks(row, target.responder), gateway_claim_checks(row, target)] if count(row) > 0

# METADATA
# title: The refusals that tables of grounds come to
# description: >
#   A key is a code, or a code and what it refers to. A ground counts as found when it is true and not otherwise; none is
#   left out, because a table with a ground that has no value has no value itself, and then there is no decision.
lacking(tables) := {{"code": parts[0], "ref": concat("", array.slice(parts, 1, 2))} |
	some table in tables
	some key, found in table
	found != true
	parts := split(key, " ")
}
