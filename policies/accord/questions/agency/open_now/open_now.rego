# METADATA
# scope: package
# title: Is this agency working with this person now?
# description: May be asked about anybody in the question. What else it needs stands in data/questions/agency.open_now.yaml.
package accord.questions.agency.open_now

# METADATA
# title: This question may be asked in this form
default permit := false

permit if {
	input.request.question_id == "agency.open_now"
	data.accord.grounds.somebody(input.subjects) == true
}
