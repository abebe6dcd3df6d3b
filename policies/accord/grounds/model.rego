package accord.grounds

# METADATA
# title: No model makes the answer, or a declared one that is named
# description: >
#   A question whose answer a model makes names that model, and the model is declared for the question, in force, checked
#   where the bundle asks for that, and gives a band and never a number. An answer of a model that is not named would be a
#   silent score.
# custom: {code: MODEL_NOT_DECLARED}
default model_declared(_) := false

model_declared(question) if {
	input.request.model_id == null
	count([1 | some model in data.accord.data.models; made_by(model, question) == true]) == 0
}

model_declared(question) if {
	model := data.accord.data.models[input.request.model_id]
	made_by(model, question) == true
	model_verified(model) == true
	model.effective_from_ns <= data.accord.grounds.at
	data.accord.grounds.at < model.effective_to_ns
	question.answer == "band"
}

# METADATA
# title: The model makes the answers of the question
default made_by(_, _) := false

made_by(model, question) if {
	some id in model.questions
	id == question.id
}

# METADATA
# title: The model has been checked, where the bundle asks for that
default model_verified(_) := false

model_verified(_) if data.accord.data.profile == "demo"

model_verified(model) if model.verified == true

# METADATA
# title: No model makes the answer, or the family was told
# custom: {code: TOLD_REASON_MISSING}
default told_of_the_model(_) := false

told_of_the_model(_) if input.request.model_id == null

told_of_the_model(told) if told.state == "told"
