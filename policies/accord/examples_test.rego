# METADATA
# scope: package
# title: Questions that are allowed
# description: >
#   What the tests begin from: each test changes one thing in one of these and looks at what the decision says. Read by
#   tests only.
package accord.examples

# A question for early help, under agreements of the parent for herself and for her child.
early_help := {
	"agreements": [
		{
			"given_by": "parent",
			"kind": "service_agreement",
			"ledger_index": 3,
			"objection": "none",
			"purposes": [
				"early_help"
			],
			"questions": [
				"agency.contact"
			],
			"record_id": "01934f4e-0000-7000-8000-000000000001",
			"requesters": [
				"social-care"
			],
			"responders": [
				"housing",
				"police"
			],
			"state": "ConsentGiven",
			"subject_ref": "s1",
			"valid_from_ns": 1767225600000000000,
			"valid_to_ns": 1798761600000000000,
			"withdrawn_at_ns": null
		},
		{
			"given_by": "self",
			"kind": "service_agreement",
			"ledger_index": 3,
			"objection": "none",
			"purposes": [
				"early_help"
			],
			"questions": [
				"agency.contact"
			],
			"record_id": "01934f4e-0000-7000-8000-000000000002",
			"requesters": [
				"social-care"
			],
			"responders": [
				"housing",
				"police"
			],
			"state": "ConsentGiven",
			"subject_ref": "s2",
			"valid_from_ns": 1767225600000000000,
			"valid_to_ns": 1798761600000000000,
			"withdrawn_at_ns": null
		}
	],
	"break_glass": {
		"claimed": false,
		"ground": "none",
		"supervisor_notified": false
	},
	"entrypoint": "query",
	"escalation": null,
	"local": null,
	"request": {
		"answer_form": "recency",
		"at": 1795310625000000000,
		"case_token": "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"dea_objective": null,
		"id": "01934f4e-0000-7000-8000-000000000001",
		"model_id": null,
		"necessity_code": "assess_risk",
		"necessity_digest": null,
		"need_tier": 2,
		"proportionality_code": "least_needed",
		"public_task_stated": false,
		"purpose": "early_help",
		"question_id": "agency.contact",
		"question_version": 1,
		"significant_harm_asserted": false,
		"subject_kind": "family",
		"urgency": "routine",
		"views_sought": "yes",
		"watch_until": null
	},
	"requester": {
		"agency_id": "social-care",
		"apd_until_ns": 2109024000000000000,
		"characters": [
			"local_authority",
			"mappa_cooperating",
			"relevant_authority",
			"s11_body",
			"safeguarding_partner"
		],
		"controller_id": "midshire-county-council",
		"dpia_until_ns": 2109024000000000000,
		"isa_until_ns": 2114294400000000000,
		"jurisdiction": "E",
		"kind": "council_childrens_services",
		"regime": "part2",
		"sensitivity": "ordinary",
		"suspended": false
	},
	"schema_version": 1,
	"state": {
		"break_glass_overdue": 0,
		"case": "not_checked",
		"ledger": "fresh",
		"revision": "0000000000000000000000000000000000000000000000000000000000000000",
		"subject_askings_30d": 0,
		"user_subjects_today": 0
	},
	"subjects": [
		{
			"age_band": "10_15",
			"competence": "not_assessed",
			"concerns_unborn": false,
			"consistent_id": "unknown",
			"ref": "s1",
			"relates_to_child": false,
			"role": "child"
		},
		{
			"age_band": "18_plus",
			"competence": "n_a",
			"concerns_unborn": false,
			"consistent_id": "unknown",
			"ref": "s2",
			"relates_to_child": true,
			"role": "parent"
		}
	],
	"targets": [
		{
			"art6": "e",
			"art9": "none",
			"crime": "none",
			"gateway_id": "agreement_service",
			"isa_id": "midshire-children",
			"responder": {
				"agency_id": "housing",
				"apd_until_ns": 2109024000000000000,
				"characters": [
					"mappa_cooperating",
					"relevant_authority",
					"s11_body",
					"s47_11_body"
				],
				"controller_id": "marlow-vale-district-council",
				"dpia_until_ns": 2109024000000000000,
				"isa_until_ns": 2114294400000000000,
				"jurisdiction": "E",
				"kind": "district_housing",
				"regime": "part2",
				"sensitivity": "ordinary",
				"suspended": false
			},
			"sch1": "none"
		},
		{
			"art6": "e",
			"art9": "none",
			"crime": "none",
			"gateway_id": "agreement_service",
			"isa_id": "midshire-children",
			"responder": {
				"agency_id": "police",
				"apd_until_ns": 2109024000000000000,
				"characters": [
					"competent_authority",
					"mappa_responsible",
					"relevant_authority",
					"s11_body",
					"safeguarding_partner"
				],
				"controller_id": "midshire-police",
				"dpia_until_ns": 2109024000000000000,
				"isa_until_ns": 2114294400000000000,
				"jurisdiction": "E",
				"kind": "police",
				"regime": "part2",
				"sensitivity": "ordinary",
				"suspended": false
			},
			"sch1": "none"
		}
	],
	"told": {
		"reason": "none",
		"review_at_ns": null,
		"state": "told"
	},
	"user": {
		"aal": 2,
		"auth_age_s": 60,
		"phishing_resistant": false,
		"role": "practitioner",
		"supervisor_token": null,
		"token": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	}
}

# A question in a child protection enquiry; no agreement is needed.
s47_enquiry := {
	"agreements": [],
	"break_glass": {
		"claimed": false,
		"ground": "none",
		"supervisor_notified": false
	},
	"entrypoint": "query",
	"escalation": null,
	"local": null,
	"request": {
		"answer_form": "recency",
		"at": 1795310625000000000,
		"case_token": "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"dea_objective": null,
		"id": "01934f4e-0000-7000-8000-000000000001",
		"model_id": null,
		"necessity_code": "assess_risk",
		"necessity_digest": null,
		"need_tier": 4,
		"proportionality_code": "least_needed",
		"public_task_stated": false,
		"purpose": "s47_enquiry",
		"question_id": "agency.contact",
		"question_version": 1,
		"significant_harm_asserted": true,
		"subject_kind": "family",
		"urgency": "routine",
		"views_sought": "yes",
		"watch_until": null
	},
	"requester": {
		"agency_id": "social-care",
		"apd_until_ns": 2109024000000000000,
		"characters": [
			"local_authority",
			"mappa_cooperating",
			"relevant_authority",
			"s11_body",
			"safeguarding_partner"
		],
		"controller_id": "midshire-county-council",
		"dpia_until_ns": 2109024000000000000,
		"isa_until_ns": 2114294400000000000,
		"jurisdiction": "E",
		"kind": "council_childrens_services",
		"regime": "part2",
		"sensitivity": "ordinary",
		"suspended": false
	},
	"schema_version": 1,
	"state": {
		"break_glass_overdue": 0,
		"case": "not_checked",
		"ledger": "fresh",
		"revision": "0000000000000000000000000000000000000000000000000000000000000000",
		"subject_askings_30d": 0,
		"user_subjects_today": 0
	},
	"subjects": [
		{
			"age_band": "10_15",
			"competence": "not_assessed",
			"concerns_unborn": false,
			"consistent_id": "unknown",
			"ref": "s1",
			"relates_to_child": false,
			"role": "child"
		},
		{
			"age_band": "18_plus",
			"competence": "n_a",
			"concerns_unborn": false,
			"consistent_id": "unknown",
			"ref": "s2",
			"relates_to_child": true,
			"role": "parent"
		}
	],
	"targets": [
		{
			"art6": "c",
			"art9": "none",
			"crime": "none",
			"gateway_id": "ca1989_s47",
			"isa_id": "midshire-children",
			"responder": {
				"agency_id": "housing",
				"apd_until_ns": 2109024000000000000,
				"characters": [
					"mappa_cooperating",
					"relevant_authority",
					"s11_body",
					"s47_11_body"
				],
				"controller_id": "marlow-vale-district-council",
				"dpia_until_ns": 2109024000000000000,
				"isa_until_ns": 2114294400000000000,
				"jurisdiction": "E",
				"kind": "district_housing",
				"regime": "part2",
				"sensitivity": "ordinary",
				"suspended": false
			},
			"sch1": "none"
		},
		{
			"art6": "e",
			"art9": "none",
			"crime": "none",
			"gateway_id": "common_law_police",
			"isa_id": "midshire-children",
			"responder": {
				"agency_id": "police",
				"apd_until_ns": 2109024000000000000,
				"characters": [
					"competent_authority",
					"mappa_responsible",
					"relevant_authority",
					"s11_body",
					"safeguarding_partner"
				],
				"controller_id": "midshire-police",
				"dpia_until_ns": 2109024000000000000,
				"isa_until_ns": 2114294400000000000,
				"jurisdiction": "E",
				"kind": "police",
				"regime": "part2",
				"sensitivity": "ordinary",
				"suspended": false
			},
			"sch1": "none"
		}
	],
	"told": {
		"reason": "none",
		"review_at_ns": null,
		"state": "told"
	},
	"user": {
		"aal": 2,
		"auth_age_s": 60,
		"phishing_resistant": false,
		"role": "practitioner",
		"supervisor_token": null,
		"token": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	}
}

# The same at the housing department, before anybody is linked.
before_linking := {
	"agreements": [],
	"break_glass": null,
	"entrypoint": "node",
	"escalation": null,
	"local": null,
	"request": {
		"answer_form": null,
		"at": 1795310625000000000,
		"case_token": null,
		"dea_objective": null,
		"id": "01934f4e-0000-7000-8000-000000000001",
		"model_id": null,
		"necessity_code": null,
		"necessity_digest": null,
		"need_tier": null,
		"proportionality_code": null,
		"public_task_stated": null,
		"purpose": "s47_enquiry",
		"question_id": "agency.contact",
		"question_version": 1,
		"significant_harm_asserted": null,
		"subject_kind": "none",
		"urgency": "routine",
		"views_sought": null,
		"watch_until": null
	},
	"requester": {
		"agency_id": "social-care",
		"apd_until_ns": 2109024000000000000,
		"characters": [
			"local_authority",
			"mappa_cooperating",
			"relevant_authority",
			"s11_body",
			"safeguarding_partner"
		],
		"controller_id": "midshire-county-council",
		"dpia_until_ns": 2109024000000000000,
		"isa_until_ns": 2114294400000000000,
		"jurisdiction": "E",
		"kind": "council_childrens_services",
		"regime": "part2",
		"sensitivity": "ordinary",
		"suspended": false
	},
	"schema_version": 1,
	"state": null,
	"subjects": [],
	"targets": [
		{
			"art6": null,
			"art9": null,
			"crime": null,
			"gateway_id": "ca1989_s47",
			"isa_id": null,
			"responder": {
				"agency_id": "housing",
				"apd_until_ns": 2109024000000000000,
				"characters": [
					"mappa_cooperating",
					"relevant_authority",
					"s11_body",
					"s47_11_body"
				],
				"controller_id": "marlow-vale-district-council",
				"dpia_until_ns": 2109024000000000000,
				"isa_until_ns": 2114294400000000000,
				"jurisdiction": "E",
				"kind": "district_housing",
				"regime": "part2",
				"sensitivity": "ordinary",
				"suspended": false
			},
			"sch1": null
		}
	],
	"told": null,
	"user": {
		"aal": null,
		"auth_age_s": null,
		"phishing_resistant": null,
		"role": "practitioner",
		"supervisor_token": null,
		"token": null
	}
}

# And after its own record was linked to the child.
after_linking := {
	"agreements": [],
	"break_glass": null,
	"entrypoint": "node",
	"escalation": null,
	"local": {
		"agreement_binds": null,
		"court_restriction": false,
		"data_age_s": 60,
		"detriment": "none",
		"harm_confirmed": false,
		"linkage": "matched",
		"opt_out": false,
		"review": "auto",
		"shielded": false
	},
	"request": {
		"answer_form": null,
		"at": 1795310625000000000,
		"case_token": null,
		"dea_objective": null,
		"id": "01934f4e-0000-7000-8000-000000000001",
		"model_id": null,
		"necessity_code": null,
		"necessity_digest": null,
		"need_tier": null,
		"proportionality_code": null,
		"public_task_stated": null,
		"purpose": "s47_enquiry",
		"question_id": "agency.contact",
		"question_version": 1,
		"significant_harm_asserted": null,
		"subject_kind": "person",
		"urgency": "routine",
		"views_sought": null,
		"watch_until": null
	},
	"requester": {
		"agency_id": "social-care",
		"apd_until_ns": 2109024000000000000,
		"characters": [
			"local_authority",
			"mappa_cooperating",
			"relevant_authority",
			"s11_body",
			"safeguarding_partner"
		],
		"controller_id": "midshire-county-council",
		"dpia_until_ns": 2109024000000000000,
		"isa_until_ns": 2114294400000000000,
		"jurisdiction": "E",
		"kind": "council_childrens_services",
		"regime": "part2",
		"sensitivity": "ordinary",
		"suspended": false
	},
	"schema_version": 1,
	"state": null,
	"subjects": [
		{
			"age_band": "10_15",
			"competence": "not_assessed",
			"concerns_unborn": false,
			"consistent_id": "unknown",
			"ref": "s1",
			"relates_to_child": false,
			"role": "child"
		}
	],
	"targets": [
		{
			"art6": null,
			"art9": null,
			"crime": null,
			"gateway_id": "ca1989_s47",
			"isa_id": null,
			"responder": {
				"agency_id": "housing",
				"apd_until_ns": 2109024000000000000,
				"characters": [
					"mappa_cooperating",
					"relevant_authority",
					"s11_body",
					"s47_11_body"
				],
				"controller_id": "marlow-vale-district-council",
				"dpia_until_ns": 2109024000000000000,
				"isa_until_ns": 2114294400000000000,
				"jurisdiction": "E",
				"kind": "district_housing",
				"regime": "part2",
				"sensitivity": "ordinary",
				"suspended": false
			},
			"sch1": null
		}
	],
	"told": null,
	"user": {
		"aal": null,
		"auth_age_s": null,
		"phishing_resistant": null,
		"role": "practitioner",
		"supervisor_token": null,
		"token": null
	}
}

# A question in an emergency, asked of the same two agencies.
emergency := json.patch(s47_enquiry, [
	{"op": "replace", "path": "/request/purpose", "value": "emergency"},
	{"op": "replace", "path": "/request/need_tier", "value": null},
	{"op": "replace", "path": "/break_glass", "value": {"claimed": true, "ground": "risk_to_life", "supervisor_notified": true}},
	{"op": "replace", "path": "/user/supervisor_token", "value": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
	{"op": "replace", "path": "/targets/0/gateway_id", "value": "vital_interest"},
	{"op": "replace", "path": "/targets/0/art6", "value": "d"},
	{"op": "replace", "path": "/targets/1/gateway_id", "value": "common_law_public_interest"},
])

# One field of a question changed.
changed(question, path, value) := json.patch(question, [{"op": "replace", "path": path, "value": value}])

# A question that also goes to another agency, described as the bundle describes it.
also(question, agency, gateway, art6) := json.patch(question, [{"op": "add", "path": "/targets/-", "value": {
	"art6": art6,
	"art9": "none",
	"crime": "none",
	"gateway_id": gateway,
	"isa_id": "midshire-children",
	"responder": {
		"agency_id": agency,
		"apd_until_ns": row.apd_until_ns,
		"characters": [character.id | some character in row.characters],
		"controller_id": row.controller_id,
		"dpia_until_ns": row.dpia_until_ns,
		"isa_until_ns": 2114294400000000000,
		"jurisdiction": row.jurisdiction,
		"kind": row.kind,
		"regime": row.regime,
		"sensitivity": row.sensitivity,
		"suspended": row.suspended,
	},
	"sch1": "none",
}}]) if {
	row := data.accord.data.agencies[agency]
}

# The same with agreements that name that agency.
also_agreed(question, agency, gateway, art6) := json.patch(also(question, agency, gateway, art6), [
	{"op": "add", "path": "/agreements/0/responders/-", "value": agency},
	{"op": "add", "path": "/agreements/1/responders/-", "value": agency},
])

# The broker's word on one agency.
asked(question, agency) := word if {
	word := data.accord.query.decision.by_target[agency] with input as question
}

# The codes of its refusals.
codes(question, agency) := {d.code | some d in asked(question, agency).denials}

# The agency's own word.
held(question) := word if {
	word := data.accord.node.decision.by_target.housing with input as question
}

# The codes and references of its refusals.
held_codes(question) := {d.code | some d in held(question).denials}

held_refs(question) := {d.ref | some d in held(question).denials}
