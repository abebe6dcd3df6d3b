# METADATA
# scope: package
# title: Positive grounds
# description: >
#   Each file states one kind of ground that must be found before a question may go to an agency. A ground is true only
#   when everything it names is there; whatever is missing, misspelt or of another type leaves it false. Each ground
#   carries the code of the refusal that stands in its place. Numbers are checked to be numbers first: in Rego a text
#   compares as greater than any number and null as smaller, and so a wrong type could pass.
package accord.grounds

# METADATA
# title: The instant of the question
# description: Nanoseconds since 1970, set once by the broker or the node. No rule reads a clock.
at := input.request.at if is_number(input.request.at)

# METADATA
# title: The catalogue has this question, in this version or an older one
# custom: {code: QUESTION_UNKNOWN}
default question_known(_) := false

question_known(question) if {
	is_number(input.request.question_version)
	input.request.question_version > 0
	input.request.question_version <= question.version
}

# METADATA
# title: The question is the current version and is not retired
# custom: {code: QUESTION_RETIRED}
default question_current(_) := false

question_current(question) if {
	input.request.question_version == question.version
	question.deprecated_by == null
}

# METADATA
# title: This agency answers the question
# custom: {code: QUESTION_UNKNOWN}
default answers_it(_, _) := false

answers_it(question, agency) if {
	some owner in question.owners
	owner == agency
}

# METADATA
# title: The answer is wanted in the question's own form, about people it can be asked about
# custom: {code: INPUT_INVALID}
default form_fits(_) := false

form_fits(question) if {
	input.request.answer_form == question.answer
	some kind in question.subjects
	kind == input.request.subject_kind
}

# METADATA
# title: The answers are shown agency by agency, or put together of two at least
# description: Of one answer a composed answer is that answer, and says whose it is.
# custom: {code: TOO_FEW_AGENCIES}
default answers_hidden(_, _) := false

answers_hidden(question, _) if question.composition == "per_agency"

answers_hidden(question, allowed) if {
	question.composition == "any"
	allowed > 1
}
