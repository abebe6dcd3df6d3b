# METADATA
# scope: package
# title: Refusals
# description: >
#   Every code once. A refusal says which ground was not found; what it means to the person asking, what they can do and
#   whom they can ask stand under the same code in data/reasons. No text depends on a person.
package accord

# --- What every addressed agency can check too -----------------------------------------------------------------------

# METADATA
# title: The catalogue has no such question
# custom: {code: QUESTION_UNKNOWN}
core_refusals contains {"code": "QUESTION_UNKNOWN", "ref": ""} if not data.accord.grounds.question_known

# METADATA
# title: The question is retired or has a newer version
# custom: {code: QUESTION_RETIRED}
core_refusals contains {"code": "QUESTION_RETIRED", "ref": ""} if {
	data.accord.grounds.question_known
	not data.accord.grounds.question_current
}

# METADATA
# title: The question may not be asked for this purpose
# custom: {code: PURPOSE_NOT_ALLOWED}
core_refusals contains {"code": "PURPOSE_NOT_ALLOWED", "ref": ""} if not data.accord.grounds.purpose_allowed

# METADATA
# title: This role may not ask this question
# custom: {code: ROLE_NARROWER}
core_refusals contains {"code": "ROLE_NARROWER", "ref": ""} if not data.accord.grounds.role_allowed

# METADATA
# title: The question is not of the form the rules require
# custom: {code: INPUT_INVALID}
core_refusals contains {"code": "INPUT_INVALID", "ref": "targets"} if not data.accord.grounds.agencies_listed_once

core_refusals contains {"code": "INPUT_INVALID", "ref": "at"} if count({t | t := data.accord.grounds.at}) == 0

# --- What the asker stated, which only the broker sees ---------------------------------------------------------------

asserted_refusals contains {"code": "INPUT_INVALID", "ref": "answer_form"} if {
	data.accord.grounds.question_known
	not data.accord.grounds.form_fits
}

asserted_refusals contains {"code": "INPUT_INVALID", "ref": "subjects"} if {
	count(input.subjects) > 0
	not data.accord.grounds.people_listed_once
}

# METADATA
# title: No child, or nobody, is in the question
# custom: {code: NO_CHILD_IN_QUESTION}
asserted_refusals contains {"code": "NO_CHILD_IN_QUESTION", "ref": ""} if count(input.subjects) == 0

# METADATA
# title: The sign-in is not strong or recent enough
# custom: {code: STEP_UP_REQUIRED}
asserted_refusals contains {"code": "STEP_UP_REQUIRED", "ref": ""} if not data.accord.grounds.signed_in

# METADATA
# title: The need stated is lower than the question asks
# custom: {code: TIER_TOO_LOW}
asserted_refusals contains {"code": "TIER_TOO_LOW", "ref": ""} if not data.accord.grounds.tier_enough

# METADATA
# title: The need stated does not belong to the purpose
# custom: {code: TIER_OUT_OF_RANGE}
asserted_refusals contains {"code": "TIER_OUT_OF_RANGE", "ref": ""} if not data.accord.grounds.tier_in_range

# METADATA
# title: Why the answer is needed is not stated in full
# custom: {code: NECESSITY_MISSING}
asserted_refusals contains {"code": "NECESSITY_MISSING", "ref": ""} if not data.accord.grounds.necessity_stated

# METADATA
# title: The family's views were not sought
# custom: {code: VIEWS_NOT_SOUGHT}
asserted_refusals contains {"code": "VIEWS_NOT_SOUGHT", "ref": ""} if not data.accord.grounds.views_sought

# METADATA
# title: Why asking is proportionate is not stated
# custom: {code: PROPORTIONALITY_MISSING}
asserted_refusals contains {"code": "PROPORTIONALITY_MISSING", "ref": ""} if not data.accord.grounds.proportionality_stated

# METADATA
# title: The person was not told and no lawful reason is stated
# custom: {code: TOLD_REASON_MISSING}
asserted_refusals contains {"code": "TOLD_REASON_MISSING", "ref": ""} if not data.accord.grounds.told_settled

# METADATA
# title: Not telling is looked at again too late
# custom: {code: TOLD_REVIEW_TOO_LATE}
asserted_refusals contains {"code": "TOLD_REVIEW_TOO_LATE", "ref": ""} if not data.accord.grounds.told_review_soon

# METADATA
# title: The question belongs to no case
# custom: {code: CASE_MISSING}
asserted_refusals contains {"code": "CASE_MISSING", "ref": ""} if not data.accord.grounds.case_named

# METADATA
# title: The case is closed
# custom: {code: CASE_CLOSED}
asserted_refusals contains {"code": "CASE_CLOSED", "ref": ""} if not data.accord.grounds.case_not_closed

# METADATA
# title: The emergency route is not open
# custom: {code: BREAK_GLASS_GROUND}
asserted_refusals contains {"code": "BREAK_GLASS_GROUND", "ref": ""} if not data.accord.grounds.ordinary_route

# METADATA
# title: The ledger is short of witnesses
# custom: {code: LEDGER_GRACE}
asserted_refusals contains {"code": "LEDGER_GRACE", "ref": ""} if {
	data.accord.grounds.ledger_not_stale
	not data.accord.grounds.ledger_fresh
}

# METADATA
# title: The ledger has had no witnesses for too long
# custom: {code: LEDGER_STALE}
asserted_refusals contains {"code": "LEDGER_STALE", "ref": ""} if not data.accord.grounds.ledger_not_stale

# --- What is said of one addressed agency ----------------------------------------------------------------------------

target_refusals[id] contains {"code": "QUESTION_UNKNOWN", "ref": id} if {
	data.accord.grounds.question_known
	some id in (data.accord.grounds.responders - data.accord.grounds.answers_it)
}

# METADATA
# title: The agency is not taking part at the moment
# custom: {code: AGENCY_SUSPENDED}
target_refusals[id] contains {"code": "AGENCY_SUSPENDED", "ref": ""} if {
	some id in (data.accord.grounds.responders - data.accord.grounds.taking_part)
}

# METADATA
# title: Two kinds of data protection rules are mixed
# custom: {code: REGIME_MIXED}
target_refusals[id] contains {"code": "REGIME_MIXED", "ref": ""} if {
	some id in (data.accord.grounds.responders - data.accord.grounds.one_regime)
}

# METADATA
# title: The legal gateway is not in the list
# custom: {code: GATEWAY_UNKNOWN}
target_refusals[id] contains {"code": "GATEWAY_UNKNOWN", "ref": ""} if {
	some id in (data.accord.grounds.responders - data.accord.grounds.gateway_known)
}

# METADATA
# title: The legal gateway is not law today
# custom: {code: GATEWAY_NOT_IN_FORCE}
target_refusals[id] contains {"code": "GATEWAY_NOT_IN_FORCE", "ref": ""} if {
	some id in (data.accord.grounds.gateway_known - data.accord.grounds.gateway_in_force)
}

# METADATA
# title: A lawyer has not yet checked this use of the gateway
# custom: {code: GATEWAY_UNVERIFIED}
target_refusals[id] contains {"code": "GATEWAY_UNVERIFIED", "ref": ""} if {
	some id in (data.accord.grounds.gateway_known - data.accord.grounds.gateway_verified)
}

target_refusals[id] contains {"code": "GATEWAY_UNVERIFIED", "ref": "purpose"} if {
	some id in data.accord.grounds.gateway_known
	data.accord.grounds.purpose_allowed
	not data.accord.grounds.purpose_verified
}

# METADATA
# title: The legal gateway does not cover these two agencies
# custom: {code: GATEWAY_WRONG_PARTIES}
target_refusals[id] contains {"code": "GATEWAY_WRONG_PARTIES", "ref": ""} if {
	some id in (data.accord.grounds.gateway_known - data.accord.grounds.gateway_parties)
}

# METADATA
# title: The legal gateway or basis may not be claimed for this purpose
# custom: {code: GATEWAY_WRONG_PURPOSE}
target_refusals[id] contains {"code": "GATEWAY_WRONG_PURPOSE", "ref": ""} if {
	some id in (data.accord.grounds.gateway_known - data.accord.grounds.gateway_for_purpose)
}

target_refusals[id] contains {"code": "GATEWAY_WRONG_PURPOSE", "ref": "art6"} if {
	some id in (data.accord.grounds.gateway_known - data.accord.grounds.basis_fits)
}

# METADATA
# title: One controller and two do not use the same gateways
# custom: {code: SAME_CONTROLLER}
target_refusals[id] contains {"code": "SAME_CONTROLLER", "ref": ""} if {
	some id in (data.accord.grounds.gateway_known - data.accord.grounds.controllers_fit)
}

# METADATA
# title: The legal gateway is not law where one of the agencies is
# custom: {code: JURISDICTION}
target_refusals[id] contains {"code": "JURISDICTION", "ref": ""} if {
	some id in (data.accord.grounds.gateway_known - data.accord.grounds.jurisdiction_fits)
}

target_refusals[id] contains {"code": "NECESSITY_MISSING", "ref": "gateway"} if {
	some id in (data.accord.grounds.gateway_known - data.accord.grounds.stated)
}

target_refusals[id] contains {"code": "NO_CHILD_IN_QUESTION", "ref": ""} if {
	some id in (data.accord.grounds.gateway_known - data.accord.grounds.child_settled)
}

# METADATA
# title: The legal gateway does not reach before birth
# custom: {code: UNBORN_NOT_COVERED}
target_refusals[id] contains {"code": "UNBORN_NOT_COVERED", "ref": ""} if {
	some id in (data.accord.grounds.gateway_known - data.accord.grounds.unborn_settled)
}

# METADATA
# title: No sharing agreement between the agencies covers this
# custom: {code: ISA_EXPIRED}
target_refusals[id] contains {"code": "ISA_EXPIRED", "ref": ""} if {
	some id in (data.accord.grounds.responders - data.accord.grounds.sharing_covers)
}

# METADATA
# title: An agency's impact assessment is out of date
# custom: {code: DPIA_EXPIRED}
target_refusals[id] contains {"code": "DPIA_EXPIRED", "ref": ""} if {
	some id in (data.accord.grounds.responders - data.accord.grounds.dpia_in_date)
}

# METADATA
# title: A sensitive service may not be asked this way
# custom: {code: SENSITIVE_SERVICE}
target_refusals[id] contains {"code": "SENSITIVE_SERVICE", "ref": ""} if {
	some id in (data.accord.grounds.responders - data.accord.grounds.sensitive_settled)
}

# --- Conditions and agreements, which only the broker checks ---------------------------------------------------------

# METADATA
# title: A condition for special category data is missing
# custom: {code: ART9_MISSING}
asserted_target_refusals[id] contains {"code": "ART9_MISSING", "ref": ""} if {
	data.accord.grounds.question_known
	some id in (data.accord.grounds.responders - data.accord.grounds.art9_settled)
}

# METADATA
# title: A condition for criminal offence data is missing
# custom: {code: CRIME_CONDITION_MISSING}
asserted_target_refusals[id] contains {"code": "CRIME_CONDITION_MISSING", "ref": ""} if {
	data.accord.grounds.question_known
	some id in (data.accord.grounds.responders - data.accord.grounds.crime_settled)
}

# METADATA
# title: The policy document for sensitive data is out of date
# custom: {code: APD_EXPIRED}
asserted_target_refusals[id] contains {"code": "APD_EXPIRED", "ref": ""} if {
	data.accord.grounds.question_known
	some id in (data.accord.grounds.responders - data.accord.grounds.apd_in_date)
}

asserted_target_refusals[id] contains r if {
	some id, refs in data.accord.grounds.uncovered
	some r in agreement_refusals[id]
	some ref in refs
	r.ref == ref
}

asserted_target_refusals[id] contains {"code": "AGREEMENT_MISSING", "ref": ref} if {
	some id, refs in data.accord.grounds.uncovered
	some ref in (refs - {r.ref | some r in agreement_refusals[id]})
}

# METADATA
# title: The agreement does not cover this question or agency
# custom: {code: AGREEMENT_OUT_OF_SCOPE}
agreement_refusals[id] contains {"code": "AGREEMENT_OUT_OF_SCOPE", "ref": ref} if {
	some id in data.accord.grounds.responders
	some ref in ({a.subject_ref | some a in input.agreements} - {key[1] | some key in data.accord.grounds.in_scope[id]})
}

# METADATA
# title: The agreement was withdrawn
# custom: {code: AGREEMENT_WITHDRAWN}
agreement_refusals[id] contains {"code": "AGREEMENT_WITHDRAWN", "ref": a.subject_ref} if {
	some a in input.agreements
	a.state in {"ConsentWithdrawn", "ConsentRevoked"}
	some id, keys in data.accord.grounds.in_scope
	some key in keys
	key == [a.record_id, a.subject_ref]
}

# METADATA
# title: The agreement is not in date
# custom: {code: AGREEMENT_EXPIRED}
agreement_refusals[id] contains {"code": "AGREEMENT_EXPIRED", "ref": key[1]} if {
	some id, keys in data.accord.grounds.in_scope
	some key in (keys & (data.accord.grounds.given - data.accord.grounds.in_date))
}

agreement_refusals[id] contains {"code": "AGREEMENT_EXPIRED", "ref": a.subject_ref} if {
	some a in input.agreements
	a.state == "ConsentExpired"
	some id, keys in data.accord.grounds.in_scope
	some key in keys
	key == [a.record_id, a.subject_ref]
}

# METADATA
# title: The agreement was given by somebody who cannot give it
# custom: {code: AGREEMENT_WRONG_GIVER}
agreement_refusals[id] contains {"code": "AGREEMENT_WRONG_GIVER", "ref": key[1]} if {
	some id, keys in data.accord.grounds.in_scope
	some key in (keys & (data.accord.grounds.given - data.accord.grounds.right_giver))
}

# METADATA
# title: Somebody in the family objects
# custom: {code: OBJECTION_PENDING}
agreement_refusals[id] contains {"code": "OBJECTION_PENDING", "ref": key[1]} if {
	some id, keys in data.accord.grounds.in_scope
	some key in (keys & (data.accord.grounds.given - data.accord.grounds.no_objection))
}

# METADATA
# title: There is no agreement from this person
# description: Used where no other code says why the agreement is missing.
# custom: {code: AGREEMENT_MISSING}
agreement_codes := {
	"AGREEMENT_MISSING", "AGREEMENT_OUT_OF_SCOPE", "AGREEMENT_WITHDRAWN",
	"AGREEMENT_EXPIRED", "AGREEMENT_WRONG_GIVER", "OBJECTION_PENDING",
}

# --- What only the agency that holds the record knows ----------------------------------------------------------------

# METADATA
# title: The agency keeps this back
# description: The ref says why, to the agency's own people only. Outside it reads as cannot say.
# custom: {code: WITHHELD_HERE}
local_refusals contains {"code": "WITHHELD_HERE", "ref": mark} if some mark in data.accord.grounds.local_marks

local_refusals contains {"code": "WITHHELD_HERE", "ref": "incomplete"} if {
	input.local != null
	not data.accord.grounds.local_complete
}

# METADATA
# title: The agreement is not this person's
# custom: {code: AGREEMENT_NOT_THIS_PERSON}
local_refusals contains {"code": "AGREEMENT_NOT_THIS_PERSON", "ref": ""} if {
	input.local != null
	not data.accord.grounds.agreement_binds
}
