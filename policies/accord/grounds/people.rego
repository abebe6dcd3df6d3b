package accord.grounds

# METADATA
# title: Somebody is asked about
# custom: {code: NO_CHILD_IN_QUESTION}
default somebody(_) := false

somebody(subjects) if {
	is_array(subjects)
	count(subjects) > 0
}

# METADATA
# title: Somebody is asked about, or the purpose is about nobody
# custom: {code: NO_CHILD_IN_QUESTION}
default people_settled(_, _) := false

people_settled(purpose, _) if purpose.about_people == false

people_settled(_, subjects) if somebody(subjects) == true

# METADATA
# title: One person is asked about
# custom: {code: INPUT_INVALID}
default one_person(_) := false

one_person(subjects) if {
	is_array(subjects)
	count(subjects) == 1
}

# METADATA
# title: Everybody is listed once
# custom: {code: INPUT_INVALID}
default listed_once(_) := false

listed_once(subjects) if count({s.ref | some s in subjects}) == count(subjects)

# METADATA
# title: Nobody is called a child who is grown up
# custom: {code: INPUT_INVALID}
default children_under_age(_) := false

children_under_age(subjects) if count([s | some s in subjects; may_be(s.role, s.age_band) == true]) == count(subjects)

# METADATA
# title: Somebody of this age may have this role
default may_be(_, _) := false

may_be("child", band) if band in {"0_4", "5_9", "10_15", "16_17", "unknown"}

may_be(role, _) if role in {"parent", "other_adult"}

# METADATA
# title: Each agency is addressed once
# custom: {code: INPUT_INVALID}
default addressed_once(_) := false

addressed_once(targets) if {
	is_array(targets)
	count(targets) > 0
	count({t.responder.agency_id | some t in targets}) == count(targets)
}

# METADATA
# title: A child is in the question, and every adult in it is asked about because of the child
# custom: {code: NO_CHILD_IN_QUESTION}
default about_a_child(_) := false

about_a_child(subjects) if {
	some child in subjects
	child.role == "child"
	count([s | some s in subjects; belongs(s) == true]) == count(subjects)
}

# METADATA
# title: The person is the child, or is asked about because of the child
default belongs(_) := false

belongs(subject) if subject.role == "child"

belongs(subject) if subject.relates_to_child == true

# METADATA
# title: Everybody asked about is born
# custom: {code: UNBORN_NOT_COVERED}
default all_born(_) := false

all_born(subjects) if count([s | some s in subjects; s.concerns_unborn == false]) == count(subjects)
