package accord

# METADATA
# title: What must be done with an answer
# description: Kind and value, for each agency; the broker and the asking node carry them out.
obligations[id] contains {"kind": "cite_gateway", "value": data.accord.grounds.gateway[id].id} if {
	some id in data.accord.grounds.responders
}

obligations[id] contains {"kind": "recency_band", "value": data.accord.grounds.question.id} if {
	some id in data.accord.grounds.responders
	data.accord.grounds.question.shows_recency == true
}

obligations[id] contains {"kind": "contact_route", "value": data.accord.grounds.question.next_step} if {
	some id in data.accord.grounds.responders
	data.accord.grounds.question.next_step != ""
}

obligations[id] contains {"kind": "told_reveal_at", "value": input.told.review_at_ns} if {
	some id in data.accord.grounds.responders
	input.told.state == "not_told"
	is_number(input.told.review_at_ns)
}
