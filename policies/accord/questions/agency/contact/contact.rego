# METADATA
# scope: package
# title: Has this agency had contact with this person?
# description: May be asked about anybody in the question. What else it needs stands in data/questions/agency.contact.yaml.
package accord.questions.agency.contact

# METADATA
# title: This question may be asked in this form
default permit := false

permit if {
	input.request.question_id == "agency.contact"
	data.accord.grounds.somebody(input.subjects) == true
}
