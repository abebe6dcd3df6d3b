# METADATA
# scope: package
# title: Has this agency assessed this family's needs?
# description: Only where a child is in the question. What else it needs stands in data/questions/assessment.done.yaml.
package accord.questions.assessment.done

default permit := false

permit if {
	input.request.question_id == "assessment.done"
	data.accord.about_a_child == true
}

refusals contains {"code": "NO_CHILD_IN_QUESTION", "ref": ""} if data.accord.about_a_child == false
