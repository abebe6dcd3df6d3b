"""The identity provider's token: only a live one, for Accord, of this agency, with a role here, is believed."""

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from accord import signing, warrant
from agency_node import staff
from agency_node.staff import BadIdentityProvider, StaffTokenRefused, check, demand_fresh, pseudonym, read_jwks
from deploy.demo.identity_provider import ACR, AUDIENCE, KEY_ID, IdentityProvider
from tests.world.trust import make_federation

NOW_S = 1_795_312_800
SECRET = bytes(range(32))
LOGIN = IdentityProvider.make("https://login.police.example", "police")
PROVIDER = staff.IdentityProvider(
    issuer=LOGIN.issuer,
    audience=AUDIENCE,
    algorithm="ES256",
    typ="JWT",
    keys=read_jwks(LOGIN.jwks(), "ES256"),
    role_claim=("resource_access", "accord", "roles"),
    roles={"accord-manager": "manager", "accord-practitioner": "practitioner"},
    organisation_claim=("organisation", "code"),
    organisation="police",
    aal_by_acr={ACR: 2},
    phishing_resistant_amr=frozenset({"hwk", "fido"}),
)


def signed(claims: Mapping[str, Any], header: Mapping[str, Any], key: Any = None, algorithm: str = "ES256") -> str:
    return jwt.encode(dict(claims), key or LOGIN.private, algorithm=algorithm, headers=dict(header))


def claims() -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(
        LOGIN.token("pc-7", "practitioner", now_s=NOW_S), options={"verify_signature": False}
    )
    return found


def raw(header: bytes, payload: bytes) -> str:
    """A token signed by the true key over any bytes, well formed or not."""
    parts = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload))
    signature = jwt.get_algorithm_by_name("ES256").sign(parts, LOGIN.private)
    return (parts + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def test_a_good_sign_in_gives_a_pseudonym_and_a_role() -> None:
    """What goes on from here has no name in it."""
    found = check(LOGIN.token("pc-7", "practitioner", now_s=NOW_S), PROVIDER, SECRET, NOW_S)

    assert (
        staff.Staff(
            user=pseudonym(SECRET, LOGIN.issuer, "pc-7"),
            role="practitioner",
            aal=2,
            phishing_resistant=True,
            auth_time_s=NOW_S - 60,
            acr=ACR,
            amr=("pwd", "hwk", "mfa"),
        )
        == found
    )
    assert "pc-7" not in repr(found)


def test_a_pseudonym_is_stable_and_differs_by_person_provider_and_agency() -> None:
    """T-PRV-2: budgets count the same worker as the same, and no two agencies can compare their staff."""
    others = [
        pseudonym(SECRET, LOGIN.issuer, "pc-8"),
        pseudonym(SECRET, LOGIN.issuer + "p", "c-7"),
        pseudonym(bytes(32), LOGIN.issuer, "pc-7"),
    ]
    mine = pseudonym(SECRET, LOGIN.issuer, "pc-7")

    assert mine == pseudonym(SECRET, LOGIN.issuer, "pc-7")
    assert 4 == len({mine, *others})
    assert 64 == len(bytes.fromhex(mine).hex())


@pytest.mark.parametrize(
    "change",
    [
        {"exp": NOW_S - 6, "iat": NOW_S - 100, "nbf": NOW_S - 100},
        {"exp": None},
        {"exp": str(NOW_S + 60)},
        {"exp": NOW_S + 3_601},
        {"exp": 253_402_300_799},
        {"exp": NOW_S + 60.5},
        {"iat": NOW_S + 6, "nbf": NOW_S},
        {"iat": None},
        {"iat": True},
        {"nbf": NOW_S + 6},
        {"iss": "https://login.other.example"},
        {"iss": None},
        {"aud": "another-system"},
        {"aud": [AUDIENCE]},
        {"aud": [AUDIENCE, "another-system"]},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"auth_time": None},
        {"auth_time": NOW_S - 43_201},
        {"auth_time": NOW_S + 6},
        {"auth_time": str(NOW_S)},
        {"auth_time": True},
        {"organisation": {"code": "housing"}},
        {"organisation": {"code": ["police"]}},
        {"organisation": "police"},
        {"organisation": None},
        {"resource_access": {"accord": {"roles": ["staff"]}}},
        {"resource_access": {"accord": {"roles": {"accord-manager": True}}}},
        {"resource_access": None},
        {"acr": 2},
        {"amr": "mfa"},
        {"amr": [1]},
    ],
    ids=str,
)
def test_a_claim_that_is_wrong_or_missing_is_refused(change: dict[str, Any]) -> None:
    """T-SEC-2: expiry, issuer, audience, person, sign-in time, organisation and role are all demanded."""
    refused = {**claims(), **change}
    kept = {name: value for name, value in refused.items() if value is not None}
    token = raw(json.dumps({"alg": "ES256", "typ": "JWT", "kid": KEY_ID}).encode(), json.dumps(kept).encode())

    with pytest.raises(StaffTokenRefused):
        check(token, PROVIDER, SECRET, NOW_S)


def test_the_same_claims_unchanged_are_accepted() -> None:
    """The control for the refusals: the way those tokens are made is itself accepted."""
    token = raw(json.dumps({"alg": "ES256", "typ": "JWT", "kid": KEY_ID}).encode(), json.dumps(claims()).encode())

    assert "practitioner" == check(token, PROVIDER, SECRET, NOW_S).role


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "ES256", "typ": "JWT"},
        {"alg": "ES256", "typ": "JWT", "kid": "other"},
        {"alg": "ES256", "typ": "JWT", "kid": ["demo-1"]},
        {"alg": "ES256", "typ": "at+jwt", "kid": KEY_ID},
        {"alg": "ES256", "typ": "accord-caller+jwt", "kid": KEY_ID},
        {"alg": "ES256", "kid": KEY_ID},
        {"alg": "none", "typ": "JWT", "kid": KEY_ID},
        {"alg": "HS256", "typ": "JWT", "kid": KEY_ID},
        {"alg": "ES256", "typ": "JWT", "kid": KEY_ID, "jku": "https://evil.example/keys"},
        {"alg": "ES256", "typ": "JWT", "kid": KEY_ID, "jwk": {}},
        {"alg": "ES256", "typ": "JWT", "kid": KEY_ID, "x5u": "https://evil.example"},
        {"alg": "ES256", "typ": "JWT", "kid": KEY_ID, "crit": ["exp"]},
    ],
    ids=str,
)
def test_a_header_that_is_not_the_agreed_one_is_refused(header: dict[str, Any]) -> None:
    """T-SEC-2: the token chooses neither key nor algorithm nor kind."""
    with pytest.raises(StaffTokenRefused):
        check(raw(json.dumps(header).encode(), json.dumps(claims()).encode()), PROVIDER, SECRET, NOW_S)


def test_a_claim_that_stands_twice_is_refused() -> None:
    """T-SEC-2: of two audiences, no reader may choose."""
    payload = json.dumps(claims())[:-1] + f', "aud": "{AUDIENCE}"}}'

    with pytest.raises(StaffTokenRefused):
        check(
            raw(json.dumps({"alg": "ES256", "typ": "JWT", "kid": KEY_ID}).encode(), payload.encode()),
            PROVIDER,
            SECRET,
            NOW_S,
        )


@pytest.mark.parametrize("tail", ["==", "=", " ", "\n", ".", ".x"], ids=repr)
def test_a_token_with_anything_added_is_refused(tail: str) -> None:
    """T-SEC-2: one token has one form."""
    with pytest.raises(StaffTokenRefused):
        check(LOGIN.token("pc-7", "practitioner", now_s=NOW_S) + tail, PROVIDER, SECRET, NOW_S)


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused() -> None:
    """T-SEC-2: the classic confusion of a public key with a shared secret."""
    public = LOGIN.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for alg in ("HS256", "ES256"):
        head = json.dumps({"alg": alg, "typ": "JWT", "kid": KEY_ID}).encode()
        parts = b".".join(base64.urlsafe_b64encode(one).rstrip(b"=") for one in (head, json.dumps(claims()).encode()))
        mac = base64.urlsafe_b64encode(hmac.digest(public, parts, "sha256")).rstrip(b"=")

        with pytest.raises(StaffTokenRefused):
            check((parts + b"." + mac).decode(), PROVIDER, SECRET, NOW_S)


def test_a_token_of_another_provider_is_refused() -> None:
    """T-SEC-2: another agency's provider cannot sign in this agency's staff, even in its name."""
    other = replace(LOGIN, private=ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(StaffTokenRefused):
        check(other.token("pc-7", "practitioner", now_s=NOW_S), PROVIDER, SECRET, NOW_S)


@given(st.data())
def test_any_altered_character_is_refused(data: st.DataObject) -> None:
    """T-SEC-2: nothing in a signed token can be changed."""
    token = LOGIN.token("pc-7", "practitioner", now_s=NOW_S)
    position = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii"))
    changed = token[:position] + other + token[position + 1 :]
    if changed == token:
        return

    with pytest.raises(StaffTokenRefused):
        check(changed, PROVIDER, SECRET, NOW_S)


@given(st.text(max_size=400))
def test_text_that_is_no_token_is_refused_cleanly(text: str) -> None:
    """T-SEC-3: whatever is pasted is refused as a sign-in, never by another error."""
    with pytest.raises(StaffTokenRefused):
        check(text, PROVIDER, SECRET, NOW_S)


def test_every_refusal_says_what_to_do() -> None:
    """The person at the screen reads a next step, and never the token or their own name."""
    token = LOGIN.token("pc-7", "practitioner", now_s=NOW_S)
    with pytest.raises(StaffTokenRefused, match="Sign in again") as refusal:
        check(token, PROVIDER, SECRET, NOW_S + 4_000)
    with pytest.raises(StaffTokenRefused, match="administrator"):
        check(LOGIN.token("pc-7", "dpo", now_s=NOW_S), PROVIDER, SECRET, NOW_S)

    assert "STAFF_TOKEN_REFUSED" == refusal.value.reason
    assert "pc-7" not in str(refusal.value)
    assert token not in str(refusal.value)


def test_the_first_role_in_settings_wins() -> None:
    """A manager who is also a practitioner is a manager, because settings list it first."""
    both = {"resource_access": {"accord": {"roles": ["accord-practitioner", "accord-manager"]}}}

    assert "manager" == check(LOGIN.token("pc-7", "dpo", now_s=NOW_S, change=both), PROVIDER, SECRET, NOW_S).role


def test_nobody_has_a_role_by_default() -> None:
    """An empty map lets nobody in, whatever the provider says."""
    with pytest.raises(StaffTokenRefused):
        check(LOGIN.token("pc-7", "manager", now_s=NOW_S), replace(PROVIDER, roles={}), SECRET, NOW_S)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (2, True)),
        ({"acr": "unknown"}, (2, True)),
        ({"acr": "unknown", "amr": ["pwd"]}, (1, False)),
        ({"acr": None, "amr": None}, (1, False)),
    ],
    ids=str,
)
def test_assurance_is_never_guessed_upwards(change: dict[str, Any], expected: tuple[int, bool]) -> None:
    """An assurance level comes from settings, or from proof of more than one factor, or is the lowest."""
    found = check(LOGIN.token("pc-7", "manager", now_s=NOW_S, change=change), PROVIDER, SECRET, NOW_S)

    assert expected == (found.aal, found.phishing_resistant)


def test_an_emergency_needs_a_fresh_sign_in() -> None:
    """T-SEC-2: fifteen minutes for break-glass and for changing rules."""
    fresh = check(LOGIN.token("pc-7", "manager", now_s=NOW_S, signed_in_s_ago=900), PROVIDER, SECRET, NOW_S)
    old = check(LOGIN.token("pc-7", "manager", now_s=NOW_S, signed_in_s_ago=901), PROVIDER, SECRET, NOW_S)

    demand_fresh(fresh, PROVIDER, NOW_S)
    with pytest.raises(StaffTokenRefused, match="last 15 minutes"):
        demand_fresh(old, PROVIDER, NOW_S)


def test_the_caller_token_is_what_the_broker_accepts() -> None:
    """T-SEC-2: what is minted here opens there, bound to this node's certificate and to nothing else."""
    federation = make_federation(agencies=("police",))
    police = federation.agencies["police"]
    found = check(LOGIN.token("pc-7", "practitioner", now_s=NOW_S), PROVIDER, SECRET, NOW_S)

    token = staff.caller_token(
        found,
        agency="police",
        federation="midshire",
        certificate_der=police.channel.certificate_der,
        asking_key=police.asking,
        jti="019aa9c4-0000-7000-8000-000000000001",
        now_s=NOW_S,
    )
    caller = warrant.open_caller(
        token,
        agency="police",
        federation="midshire",
        certificate_der=police.channel.certificate_der,
        asking_public=signing.public_bytes(police.asking),
        now_s=NOW_S,
    )

    assert (found.user, found.role, found.aal, found.auth_time_s) == (
        caller.user,
        caller.role,
        caller.aal,
        caller.auth_time_s,
    )
    with pytest.raises(warrant.TokenRefused):
        warrant.open_caller(
            token,
            agency="police",
            federation="midshire",
            certificate_der=federation.broker.channel.certificate_der,
            asking_public=signing.public_bytes(police.asking),
            now_s=NOW_S,
        )


def rsa_row(bits: int, **more: str) -> dict[str, Any]:
    key = rsa.generate_private_key(65_537, bits)
    return {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": "r", **more}


def jwks(*rows: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": list(rows)}).encode()


def test_keys_of_the_other_kinds_are_passed_over() -> None:
    """Providers publish several keys side by side; only those that settings chose are used."""
    mine = json.loads(LOGIN.jwks())["keys"][0]
    encryption = {**mine, "kid": "e", "use": "enc"}

    assert {KEY_ID} == set(read_jwks(jwks(rsa_row(2_048), mine, encryption), "ES256"))
    assert {"r"} == set(read_jwks(jwks(rsa_row(2_048), mine), "RS256"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"keys": 1}',
        b'{"keys": []}',
        b"[" * 2_000,
        jwks({"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "ES256"}),
        jwks({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "s"}),
        b" " * 70_000,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_a_file_without_a_usable_public_key_is_refused(data: bytes) -> None:
    """A node with no key to check sign-ins by must not start."""
    with pytest.raises(BadIdentityProvider):
        read_jwks(data, "ES256")


def test_weak_double_and_private_keys_are_refused() -> None:
    """T-SEC-2: a short RSA key, two keys of one name, or a private key in the public file."""
    mine = json.loads(LOGIN.jwks())["keys"][0]
    unnamed = {name: value for name, value in mine.items() if name != "kid"}

    for data, algorithm in (
        (jwks(rsa_row(1_024)), "RS256"),
        (jwks(mine, mine), "ES256"),
        (jwks(unnamed), "ES256"),
        (jwks({**mine, "d": "AA"}), "ES256"),
        (jwks(mine), "HS256"),
    ):
        with pytest.raises(BadIdentityProvider):
            read_jwks(data, algorithm)


def test_a_provider_that_signs_with_ed25519_works_too() -> None:
    """Settings name one algorithm; three are supported."""
    private = Ed25519PrivateKey.generate()
    row = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(private.public_key()))
    provider = replace(PROVIDER, algorithm="EdDSA", keys=read_jwks(jwks({**row, "kid": KEY_ID}), "EdDSA"))
    token = signed(claims(), {"typ": "JWT", "kid": KEY_ID}, private, "EdDSA")

    assert "practitioner" == check(token, provider, SECRET, NOW_S).role
    with pytest.raises(StaffTokenRefused):
        check(token, PROVIDER, SECRET, NOW_S)
