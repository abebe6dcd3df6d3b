"""Times of statements and sign-ins, by the broker's own clock."""

import pytest

from accord import statement, warrant
from accord.canonical import sha256
from accord.directory import Directory
from accord.statement import Assertions, BadStatement, BrokerPart, Core, NodePart, Subject, Target
from accord.warrant import TokenRefused
from broker.caller import MAX_AUTH_AGE_S, SKEW_NS, check
from broker.stages import Asked
from tests.world.trust import NOW_NS, Federation, make_federation

NS = 1_000_000_000
USER = "ab" * 32


@pytest.fixture(scope="module")
def federation() -> Federation:
    return make_federation()


def ask(federation: Federation, *, issued_ns: int, life_s: int = 60, signed_in_s: int = NOW_NS // NS - 60) -> Asked:
    """What the broker makes, at NOW_NS, of a statement and a sign-in of other times."""
    keys = federation.agencies["social-care"]
    directory: Directory = federation.directory
    token = warrant.mint_caller(
        agency="social-care",
        federation="midshire",
        user=USER,
        role="practitioner",
        aal=2,
        phishing_resistant=True,
        auth_time_s=signed_in_s,
        acr="",
        amr=("mfa",),
        certificate_der=keys.channel.certificate_der,
        jti="token-1",
        now_s=NOW_NS // NS,
        key=keys.asking,
    )
    core = Core(
        query_id="01890000-0000-7000-8000-000000000001",
        agency="social-care",
        role="practitioner",
        caller_token_sha256=sha256(token.encode()).hex(),
        question="agency.contact",
        question_version=1,
        purpose="s47_enquiry",
        urgency="routine",
        reply_key=b"r" * 32,
        epoch="2026-1",
        normaliser="33" * 32,
        families="44" * 32,
        key_servers="55" * 32,
        issued_at_ns=issued_ns,
        expires_at_ns=issued_ns + life_s * NS,
    )
    part = BrokerPart(
        (Target("police", "common_law_police", "e"),), (Subject("s1", "child", "10_15"),), Assertions(), (), "66" * 32,
        {"s1": ()}, "recency",
    )  # fmt: skip
    draft = statement.draft(NodePart("police", "common_law_police", sha256(b"sealed").hex()), b"sealed")
    signed = statement.sign(statement.core_bytes(core), statement.broker_part_bytes(part), [draft], keys.asking)
    return check(
        token,
        signed,
        agency="social-care",
        certificate=keys.channel.certificate_der,
        directory=directory,
        now_ns=NOW_NS,
    )


@pytest.mark.parametrize(("age_ns", "life_s"), [(0, 60), (59 * NS, 60), (-SKEW_NS, 60), (4 * NS, 5)])
def test_a_statement_counts_until_it_says_that_it_does_not(federation: Federation, age_ns: int, life_s: int) -> None:
    """An asker's clock may be ahead by as much as the federation allows."""
    assert USER == ask(federation, issued_ns=NOW_NS - age_ns, life_s=life_s).user.token


@pytest.mark.parametrize(("age_ns", "life_s"), [(60 * NS, 60), (5 * NS, 5), (-SKEW_NS - 10**6, 60)])
def test_a_statement_of_another_time_is_refused(federation: Federation, age_ns: int, life_s: int) -> None:
    """T-OPS-2: at its last instant, also where that comes within the allowed difference of the clocks."""
    with pytest.raises(BadStatement):
        ask(federation, issued_ns=NOW_NS - age_ns, life_s=life_s)


@pytest.mark.parametrize(("age_s", "taken"), [(MAX_AUTH_AGE_S, True), (MAX_AUTH_AGE_S + 1, False), (-6, False)])
def test_a_sign_in_of_yesterday_is_refused_whatever_it_is_for(federation: Federation, age_s: int, taken: bool) -> None:
    """T-SEC-2: agreements and withdrawals pass no policy that would look at it."""
    signed_in_s = NOW_NS // NS - age_s
    if taken:
        assert signed_in_s == ask(federation, issued_ns=NOW_NS, signed_in_s=signed_in_s).user.auth_time_s
        return
    with pytest.raises(TokenRefused):
        ask(federation, issued_ns=NOW_NS, signed_in_s=signed_in_s)
