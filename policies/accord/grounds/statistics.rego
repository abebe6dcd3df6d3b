package accord.grounds

# METADATA
# title: Statistics name nobody
# description: No person, no agreement of a person, and no case.
# custom: {code: STATISTICS_NAMED_PERSON}
default nobody_named(_, _) := false

nobody_named(purpose, _) if purpose.about_people == true

nobody_named(_, subjects) if {
	is_array(subjects)
	count(subjects) == 0
	is_array(input.agreements)
	count(input.agreements) == 0
	input.request.case_token == null
}

# METADATA
# title: Statistics ask for a table that the catalogue declares, with no filter of their own
# description: A declared table is a question that can be asked about nobody at all.
# custom: {code: STATISTICS_UNDECLARED}
default table_declared(_, _) := false

table_declared(purpose, _) if purpose.about_people == true

table_declared(_, question) if {
	input.request.subject_kind == "none"
	count([1 | some kind in question.subjects; kind != "none"]) == 0
}
