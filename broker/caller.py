"""Check who asks and what they signed. Only this makes an Asked."""

import hmac
from typing import Final

from accord.canonical import sha256
from accord.directory import Directory
from accord.statement import BadStatement, SignedStatement, open_for_broker
from accord.warrant import LEEWAY_S, TokenRefused, open_caller
from broker.stages import Asked, User

SKEW_NS: Final = 35 * 1_000_000_000
"""Largest difference between a statement's time and the broker's clock: warrant life and leeway together."""
MAX_AUTH_AGE_S: Final = 43_200
"""Oldest sign-in with which anything may be done, seconds; policy may ask for a fresher one."""


def check_user(token: str, *, agency: str, certificate: bytes, directory: Directory, now_ns: int) -> User:
    """Check a caller token against certificate and directory.

    Args:
        token: As received.
        agency: The agency that the certificate names.
        certificate: The certificate in DER.
        directory: The directory in force.
        now_ns: The time.

    Raises:
        TokenRefused: It is not a live token of this agency, bound to this certificate, or the sign-in behind it is too
            old or from the future.
        UnknownAgency: The directory does not list the agency (any more).
    """
    caller = open_caller(
        token,
        agency=agency,
        federation=directory.federation,
        certificate_der=certificate,
        asking_public=directory.agency(agency).asking,
        now_s=now_ns // 1_000_000_000,
    )
    if not -LEEWAY_S <= now_ns // 1_000_000_000 - caller.auth_time_s <= MAX_AUTH_AGE_S:
        raise TokenRefused("the sign-in is too old, or from the future")
    return User(agency, caller.user, caller.role, caller.aal, caller.phishing_resistant, caller.auth_time_s)


def check(
    token: str, signed: SignedStatement, *, agency: str, certificate: bytes, directory: Directory, now_ns: int
) -> Asked:
    """Check a question: caller token, statement, and that they belong together.

    Args:
        token: The caller token as received.
        signed: The statement as received.
        agency: The agency that the certificate names.
        certificate: The certificate in DER.
        directory: The directory in force.
        now_ns: The one clock reading of this question.

    Raises:
        TokenRefused: The token is not accepted, or is not the one that was signed for.
        BadSignature: The statement is not signed by this agency's asking key.
        BadStatement: The statement is malformed, stale, or does not fit token or certificate.
        UnknownAgency: The directory does not list the agency.
    """
    user = check_user(token, agency=agency, certificate=certificate, directory=directory, now_ns=now_ns)
    statement = open_for_broker(signed, directory.agency(agency).asking)
    core = statement.core
    if not hmac.compare_digest(core.caller_token_sha256, sha256(token.encode()).hex()):
        raise TokenRefused("the statement was signed for another caller token")
    if core.agency != agency or core.role != user.role:
        raise BadStatement("the statement names another agency or role than the token")
    if now_ns >= core.expires_at_ns:
        raise BadStatement("the statement has expired")
    if core.issued_at_ns > now_ns + SKEW_NS:
        raise BadStatement("the statement is from the future")
    if any(target.agency == agency for target in statement.broker_part.targets):
        raise BadStatement("an agency does not ask itself")
    return Asked(user, statement, now_ns)
