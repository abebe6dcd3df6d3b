# METADATA
# scope: package
# title: Has this agency assessed this family's needs?
# description: Only where a child is in the question. What else it needs stands in data/questions/assessment.done.yaml.
package accord.questions.assessment.done

# METADATA
# title: This question may be asked in this form
default permit := false

permit if {
	input.request.question_id == "assessment.done"
	data.accord.about_a_child == true
}

# METADATA
# title: Why it may not
refusals contains {"code": "NO_CHILD_IN_QUESTION", "ref": ""} if data.accord.about_a_child == false
