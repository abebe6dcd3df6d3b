"""What may be shown: answers of permitted agencies, refusals with their reasons, and who was not reached."""

from broker.stages import REFUSED, Answers, Composed, Row


def compose(answers: Answers) -> Composed:
    """Put together one row for each addressed agency, agency by agency.

    Every question of the catalogue in force is composed per agency: each agency's own signed answer is shown. A
    refused agency has its denials; one that was not reached has neither answer nor denials.
    """
    replies = {reply.agency: reply for reply in answers.replies}
    rows = []
    for agency, decided in sorted(answers.opened.permit.decision.by_target.items()):
        if not decided.allow:
            rows.append(Row(agency, decided.gateway, REFUSED, denials=decided.denials))
            continue
        reply = replies[agency]
        rows.append(Row(agency, decided.gateway, reply.delivery, reply.signed_answer))
    return Composed(answers, tuple(rows))
