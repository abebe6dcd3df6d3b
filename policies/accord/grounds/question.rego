# METADATA
# scope: package
# title: Positive grounds
# description: >
#   Each file here states one ground that must be found before a question may go to an agency. A ground about the
#   whole question is true or false. A ground about an agency is the set of agencies for which it was found. What is
#   not found is not granted. Every date and number is checked to be a number first: in Rego a missing date compares
#   as smaller than any number, and so would pass.
package accord.grounds

# METADATA
# title: The instant of the question
# description: Nanoseconds since 1970, set once by the broker. No rule reads a clock.
at := input.request.at if is_number(input.request.at)

# METADATA
# title: The catalogue entry of the question asked
question := data.accord.data.catalogue.questions[input.request.question_id]

# METADATA
# title: The agencies addressed
responders contains t.responder.agency_id if some t in input.targets

# METADATA
# title: The catalogue has this question
default question_known := false

question_known if {
	question.version >= input.request.question_version
	is_number(input.request.question_version)
	input.request.question_version > 0
}

# METADATA
# title: The question is the current version and is not retired
default question_current := false

question_current if {
	question.version == input.request.question_version
	question.deprecated_by == null
}

# METADATA
# title: These agencies answer the question
answers_it contains id if {
	some id in responders
	some owner in question.owners
	owner == id
}

# METADATA
# title: The answer is wanted in the question's own form, about people it can be asked about
default form_fits := false

form_fits if {
	input.request.answer_form == question.answer
	some kind in question.subjects
	kind == input.request.subject_kind
}

# METADATA
# title: Somebody is asked about, and each person and agency is listed once
default people_listed_once := false

people_listed_once if {
	count(input.subjects) > 0
	count({s.ref | some s in input.subjects}) == count(input.subjects)
}

# METADATA
# title: Each agency is addressed once
default agencies_listed_once := false

agencies_listed_once if {
	count(input.targets) > 0
	count(responders) == count(input.targets)
}
