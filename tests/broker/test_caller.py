"""Who asks, and whether what they signed is theirs: only then there is a question."""

from dataclasses import replace
from typing import Any

import pytest

from accord import signing, statement, warrant
from accord.canonical import sha256
from accord.reasons import Problem
from accord.statement import AgreementRef, Assertions, BrokerPart, Core, NodePart, SignedStatement, Subject, Target
from broker.caller import check, check_user
from broker.stages import Asked
from tests.world.trust import NOW_NS, Federation, make_federation

NS = 1_000_000_000


@pytest.fixture(scope="module")
def federation() -> Federation:
    return make_federation()


def token(federation: Federation, /, **changes: Any) -> str:
    """A caller token of a practitioner of social care's."""
    keys = federation.agencies["social-care"]
    fields: dict[str, Any] = {
        "agency": "social-care",
        "federation": federation.name,
        "user": "ab" * 32,
        "role": "practitioner",
        "aal": 2,
        "phishing_resistant": True,
        "auth_time_s": NOW_NS // NS - 60,
        "acr": "",
        "amr": ("mfa",),
        "certificate_der": keys.channel.certificate_der,
        "jti": "token-1",
        "now_s": NOW_NS // NS,
        "key": keys.asking,
    }
    return warrant.mint_caller(**{**fields, **changes})


def signed(
    federation: Federation, of_token: str, *, targets: tuple[str, ...] = ("police",), key: Any = None, **changes: Any
) -> SignedStatement:
    """A statement of social care's; `changes` are fields of its core."""
    core = Core(
        query_id="01890000-0000-7000-8000-000000000001",
        agency="social-care",
        role="practitioner",
        caller_token_sha256=sha256(of_token.encode()).hex(),
        question="agency.contact",
        question_version=1,
        purpose="s47_enquiry",
        urgency="routine",
        reply_key=b"r" * 32,
        epoch="2026-1",
        normaliser="33" * 32,
        families="44" * 32,
        key_servers="55" * 32,
        issued_at_ns=NOW_NS,
        expires_at_ns=NOW_NS + 60 * NS,
    )
    part = BrokerPart(
        targets=tuple(Target(agency, "common_law_police", "e") for agency in targets),
        subjects=(Subject("s1", "child", "10_15"),),
        assertions=Assertions(need_tier=4),
        agreements=(AgreementRef("01890000-0000-7000-8000-00000000000a", "s1"),),
        case_token="66" * 32,
        subject_tags={"s1": (b"t" * 16,)},
        answer_form="recency",
    )
    drafts = [
        statement.draft(NodePart(agency, "common_law_police", sha256(b"sealed").hex()), b"sealed") for agency in targets
    ]
    asking = key or federation.agencies["social-care"].asking
    return statement.sign(
        statement.core_bytes(replace(core, **changes)), statement.broker_part_bytes(part), drafts, asking
    )


def checked(
    federation: Federation,
    of_token: str,
    made: SignedStatement,
    agency: str = "social-care",
    channel: str = "social-care",
) -> Asked:
    return check(
        of_token,
        made,
        agency=agency,
        certificate=federation.agencies[channel].channel.certificate_der,
        directory=federation.directory,
        now_ns=NOW_NS,
    )


def refused(federation: Federation, of_token: str, made: SignedStatement, **more: str) -> str:
    with pytest.raises(Problem) as problem:
        checked(federation, of_token, made, **more)
    return problem.value.reason


def test_a_question_with_its_token_is_taken(federation: Federation) -> None:
    """The control: token, certificate and statement belong together."""
    one = token(federation)

    asked = checked(federation, one, signed(federation, one))

    assert ("social-care", "ab" * 32, "practitioner") == (asked.user.agency, asked.user.token, asked.user.role)
    assert (NOW_NS, "agency.contact") == (asked.at_ns, asked.statement.core.question)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"agency": "police"}, "UNAUTHENTICATED"),
        ({"federation": "eastshire"}, "UNAUTHENTICATED"),
        ({"now_s": NOW_NS // NS - 120}, "UNAUTHENTICATED"),
        ({"now_s": NOW_NS // NS + 120}, "UNAUTHENTICATED"),
        ({"life_s": 3_600}, "UNAUTHENTICATED"),
        ({"certificate_der": b"another"}, "UNAUTHENTICATED"),
        ({"aal": 9}, "UNAUTHENTICATED"),
        ({"user": "a name"}, "UNAUTHENTICATED"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_token_that_is_not_the_callers_is_refused(
    federation: Federation, changes: dict[str, Any], reason: str
) -> None:
    """T-SEC-2, T-SEC-4: issuer, audience, times, level, pseudonym and the certificate it is bound to must all hold."""
    one = token(federation, **changes)

    assert reason == refused(federation, one, signed(federation, one))


def test_a_token_signed_by_another_agency_is_refused(federation: Federation) -> None:
    """T-SEC-2: only the agency's own asking key mints for its staff."""
    one = token(federation, key=federation.agencies["police"].asking)

    assert "UNAUTHENTICATED" == refused(federation, one, signed(federation, one))


def test_a_token_over_another_agencys_channel_is_refused(federation: Federation) -> None:
    """T-SEC-4: the certificate says who calls, and the token is bound to it."""
    one = token(federation)

    assert "UNAUTHENTICATED" == refused(federation, one, signed(federation, one), channel="police")


def test_a_warrant_is_no_caller_token(federation: Federation) -> None:
    """T-SEC-2: one kind of token is never taken for another."""
    one = warrant.mint_warrant(
        federation=federation.name,
        agency="social-care",
        jti="01890000-0000-7000-8000-000000000001",
        statement=b"s" * 32,
        nodes=[],
        policy="11" * 32,
        catalogue="22" * 32,
        agreements=[],
        now_s=NOW_NS // NS,
        key=federation.agencies["social-care"].asking,
    )

    assert "UNAUTHENTICATED" == refused(federation, one, signed(federation, one))


def test_a_statement_signed_for_another_token_is_refused(federation: Federation) -> None:
    """T-SEC-2: whoever asks is whoever signed in; a colleague's statement is no use with a token of one's own."""
    made = signed(federation, token(federation))

    assert "UNAUTHENTICATED" == refused(federation, token(federation, user="cd" * 32), made)


@pytest.mark.parametrize("changes", [{"agency": "police"}, {"role": "manager"}], ids=["agency", "role"])
def test_a_statement_that_names_somebody_else_is_refused(federation: Federation, changes: dict[str, Any]) -> None:
    """T-SEC-2: agency and role are those of the token, whatever the statement says."""
    one = token(federation)

    assert "BAD_STATEMENT" == refused(federation, one, signed(federation, one, **changes))


def test_a_statement_signed_with_another_key_is_refused(federation: Federation) -> None:
    """T-SEC-2: the directory's asking key of the calling agency, and no other of its keys."""
    one = token(federation)
    made = signed(federation, one, key=federation.agencies["social-care"].answer)

    assert "BAD_SIGNATURE" == refused(federation, one, made)
    own_name = replace(made, key_id=signing.key_id(federation.directory.agency("social-care").asking))
    assert "BAD_SIGNATURE" == refused(federation, one, own_name)


def test_an_agency_does_not_ask_itself(federation: Federation) -> None:
    """A question through the broker to oneself would only leave a trace that misleads."""
    one = token(federation)

    assert "BAD_STATEMENT" == refused(federation, one, signed(federation, one, targets=("police", "social-care")))


def test_an_agency_that_has_left_is_refused(federation: Federation) -> None:
    """T-SEC-4: the directory in force decides, not the one of yesterday."""
    without = replace(
        federation.directory,
        agencies=tuple(one for one in federation.directory.agencies if one.id != "social-care"),
    )

    with pytest.raises(Problem) as problem:
        check_user(
            token(federation),
            agency="social-care",
            certificate=federation.agencies["social-care"].channel.certificate_der,
            directory=without,
            now_ns=NOW_NS,
        )

    assert "UNKNOWN_AGENCY" == problem.value.reason
