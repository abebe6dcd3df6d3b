# METADATA
# scope: package
# title: Is this family known to this agency?
# description: May be asked about a family of two or more. The agency answers for all of them in one word. What else it needs stands in data/questions/family.known.yaml.
package accord.questions.family.known

# METADATA
# title: This question may be asked in this form
default permit := false

permit if {
	input.request.question_id == "family.known"
	input.request.subject_kind == "family"
	count(input.subjects) > 1
}
