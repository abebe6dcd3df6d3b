package accord

# METADATA
# title: What must be done with an answer
# description: Kind and value; the broker and the asking node carry them out.
obligations(row) := {{"kind": "cite_gateway", "value": row.id}} | (question_obligations | (emergency_obligations | basis_changed(data.accord.grounds.escalated(purpose, row))))

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

# METADATA
# title: What an emergency brings with it
# description: >
#   It is marked as one, the agency that answers is told, and somebody outside the asker's line looks at it by the end of
#   the next working day. No rule knows the calendar; the broker turns that day into an instant.
emergency_obligations contains {"kind": "mark_break_glass", "value": input.break_glass.ground} if purpose.break_glass == true

emergency_obligations contains {"kind": "notify_holder", "value": input.request.purpose} if purpose.break_glass == true

emergency_obligations contains {"kind": "review_by", "value": "end_of_next_working_day"} if purpose.break_glass == true

# METADATA
# title: That a question went over from an agreement to another gateway
basis_changed(false) := set()

basis_changed(true) := {{"kind": "basis_changed", "value": input.escalation.replaces_gateway}}
