package accord.grounds

# METADATA
# title: A child is in the question
default child_present := false

child_present if {
	some s in input.subjects
	s.role == "child"
}

# METADATA
# title: Every adult in the question is asked about because of the child
default adults_relate := false

adults_relate if {
	count(people) > 0
	count(people - related) == 0
}

related contains s.ref if {
	some s in input.subjects
	s.role == "child"
}

related contains s.ref if {
	some s in input.subjects
	s.relates_to_child == true
}

# METADATA
# title: The question is about a child, where the gateway is for children
# description: Before it has linked anybody, a node knows nothing of the people and does not check this.
child_settled contains id if {
	some id, row in gateway
	row.child_nexus == false
}

child_settled contains id if {
	some id, _ in gateway
	child_present
	adults_relate
}

child_settled contains id if {
	input.entrypoint == "node"
	some id, _ in gateway
}

# METADATA
# title: Everybody asked about is born
default all_born := false

all_born if count(people - born) == 0

born contains s.ref if {
	some s in input.subjects
	s.concerns_unborn == false
}

# METADATA
# title: Nobody unborn, or a gateway that reaches before birth
unborn_settled contains id if {
	some id, row in gateway
	row.unborn_ok == true
}

unborn_settled contains id if {
	some id, _ in gateway
	all_born
}
