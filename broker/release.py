"""What may be shown: answers of permitted agencies, refusals with their reasons, and who was not reached.

    Answers -> each agency's own signed answer, or one word of them all -> Composed

* *Per agency*: each agency's own signed answer is shown.
* *Any*: one word is shown, and no agency's answer. *Yes* if an agency says yes; *no* only if every addressed agency
  answered and says no; else *cannot say*. Of a single answer no word is made, for it would be that agency's own.
* Either way deliveries and refusals are shown agency by agency, so that it is seen what the answer rests on, and the
  digest of each signed answer stands in the ledger.
"""

from collections.abc import Sequence

from accord.answer import CANNOT_SAY, NO, YES
from accord.catalogue import ANY, FEWEST_COMPOSED
from broker.stages import REFUSED, Answers, Composed, Row


def compose(answers: Answers) -> Composed:
    """Put together one row for each addressed agency, and one word where the catalogue wants one.

    A refused agency has its denials; one that was not reached has neither answer nor denials.
    """
    decision = answers.opened.permit.decision
    replies = {reply.agency: reply for reply in answers.replies}
    hidden = decision.question is not None and decision.question.composition == ANY
    rows = []
    words = []
    for agency, decided in sorted(decision.by_target.items()):
        if not decided.allow:
            rows.append(Row(agency, decided.gateway, REFUSED, denials=decided.denials))
            words.append("")
            continue
        reply = replies[agency]
        words.append(reply.word)
        if hidden:
            rows.append(Row(agency, decided.gateway, reply.delivery, kept=reply.signed_answer))
        else:
            rows.append(Row(agency, decided.gateway, reply.delivery, reply.signed_answer))
    return Composed(answers, tuple(rows), any_of(words) if hidden else "")


def any_of(words: Sequence[str]) -> str:
    """One word of all agencies'.

    Args:
        words: One for each addressed agency: YES, NO or CANNOT_SAY, or empty when it did not answer.
    """
    answered = [word for word in words if word]
    if len(answered) < FEWEST_COMPOSED:
        return CANNOT_SAY
    if YES in answered:
        return YES
    return NO if set(words) == {NO} else CANNOT_SAY
