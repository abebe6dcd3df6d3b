package accord

# METADATA
# title: What must be done with an answer
# description: Kind and value; the broker and the asking node carry them out.
obligations(row) := {{"kind": "cite_gateway", "value": row.id}} | question_obligations

# METADATA
# title: What the question itself brings with it
question_obligations contains {"kind": "recency_band", "value": data.accord.question.id} if {
	data.accord.question.shows_recency == true
}

question_obligations contains {"kind": "contact_route", "value": data.accord.question.next_step} if {
	data.accord.question.next_step != ""
}

question_obligations contains {"kind": "told_reveal_at", "value": input.told.review_at_ns} if {
	input.told.state == "not_told"
	is_number(input.told.review_at_ns)
}
