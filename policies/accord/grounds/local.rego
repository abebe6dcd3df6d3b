package accord.grounds

# METADATA
# title: The agency's own record says nothing against answering
# description: >
#   Read at an agency only, after its own record was linked. What stands here was decided by a person of that agency; no
#   rule works it out. The cause never leaves the agency.
local_marks contains "detriment" if input.local.detriment != "none"

local_marks contains "shielded" if input.local.shielded != false

local_marks contains "opt_out" if input.local.opt_out != false

local_marks contains "court_restriction" if input.local.court_restriction != false

local_marks contains "review" if input.local.review != "auto"

local_marks contains "linkage" if input.local.linkage in {"ambiguous", "not_tried"}

local_marks contains "stale" if {
	is_number(input.local.data_age_s)
	input.local.data_age_s > question.freshness_limit_s
}

# METADATA
# title: Everything the agency must say about its own record has been said
default local_complete := false

local_complete if {
	input.local.detriment in {"none", "withhold"}
	is_boolean(input.local.shielded)
	is_boolean(input.local.opt_out)
	is_boolean(input.local.court_restriction)
	input.local.review in {"auto", "manual"}
	input.local.linkage in {"matched", "ambiguous", "none", "not_tried"}
	is_number(input.local.data_age_s)
	input.local.data_age_s >= 0
}

# METADATA
# title: The agreement binds the person who was found
default agreement_binds := false

agreement_binds if input.local.agreement_binds == true

agreement_binds if {
	purpose.agreement != "required"
	count([t | some t in input.targets; data.accord.data.gateways[t.gateway_id].type == "agreement"]) == 0
}

# With nobody linked there is nobody to bind it to; the answer is not about a record.
agreement_binds if input.local.linkage == "none"
