# METADATA
# scope: package
# title: Is this family known to any of these agencies?
# description: May be asked about a family of two or more, of two agencies or more. The broker makes one answer of theirs. What else it needs stands in data/questions/family.known_anywhere.yaml.
package accord.questions.family.known_anywhere

# METADATA
# title: This question may be asked in this form
default permit := false

permit if {
	input.request.question_id == "family.known_anywhere"
	input.request.subject_kind == "family"
	count(input.subjects) > 1
}
