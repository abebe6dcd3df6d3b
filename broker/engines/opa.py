"""Open Policy Agent's own server, beside this process: Rego over a loopback port or a unix socket.

    decide -> circuit -> one POST /v1/data/<entrypoint> -> status, size, form and revision checked -> result

* The server fetches the signed bundle from the broker and checks its signature itself; nothing is uploaded to it.
* Provenance in each answer names the revision it was made under. Another revision, another bundle beside it, or a
  server older than OLDEST is a refusal.
* An answer without `result` is undefined (https://www.openpolicyagent.org/docs/rest-api#get-a-document-with-input), and
  errors of built-in functions are errors, not undefined (`strict-builtin-errors`).
* No retry, no redirect, no proxy from the environment, a bounded answer, and one short time limit for all of it.
* While the server is known to be gone or slow, questions are refused at once and one of them, now and then, tries it
  again (T-POL-5).
"""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from opa_client.opa_async import AsyncOpaClient

from accord.bundle import Bundle
from broker.engines import (
    SERVER,
    Evaluation,
    PolicyError,
    PolicyLate,
    PolicyOtherRevision,
    PolicyUnavailable,
    PolicyUndefined,
    PolicyUnreadable,
)

BUNDLE: Final = "accord"
"""What the server's own settings call the bundle."""

OLDEST: Final = (1, 21, 3)
"""Oldest server that is used: GHSA-g2pf-6v5v-qcc8, CVE-2025-46569 and CVE-2022-36085 are mended in it."""

TIMEOUT_S: Final = 1.0
"""Longest wait for a decision, seconds, with the connection; one usually takes a few thousandths of that."""

WAITING_MAX: Final = 256
"""Most decisions waiting; the next one is refused at once."""

CONNECTIONS_MAX: Final = 16
"""Most connections to the server; a decision takes the processor, so more would only wait there."""

ANSWER_MAX_BYTES: Final = 1024 * 1024
"""Longest answer that is read, bytes; the largest decision, twelve people at 64 agencies, is a tenth of it."""

FAILURES_MOST: Final = 3
"""After so many failures in a row the server counts as gone."""

PAUSE_S: Final = 1.0
"""For so long, seconds, a server that counts as gone is left alone."""

ASKED_FOR: Final[Mapping[str, str]] = {"strict-builtin-errors": "true", "provenance": "true"}

_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})([-+][0-9A-Za-z.+-]{1,40})?")
_CODE: Final = re.compile(r"[a-z_]{1,40}")
_DECISION_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(slots=True)
class Circuit:
    """Whether to try a server that failed lately. Instants are seconds of one clock that only goes forward."""

    failures_most: int = FAILURES_MOST
    pause_s: float = PAUSE_S
    _failures: int = 0
    _again_at: float = 0.0
    _trying: bool = False

    def may_try(self, now: float) -> bool:
        """Whether a question may go to the server; after a pause, one at a time."""
        if self._failures < self.failures_most:
            return True
        if self._trying or now < self._again_at:
            return False
        self._trying = True
        return True

    def worked(self) -> None:
        """The server answered."""
        self._failures, self._trying = 0, False

    def failed(self, now: float) -> None:
        """The server was gone or too slow."""
        self._failures += 1
        self._again_at, self._trying = now + self.pause_s, False

    def given_up(self) -> None:
        """The question ended before the server could show whether it is there."""
        self._trying = False


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer of status 200, read whole: what the client calls a response."""

    body: bytes

    def raise_for_status(self) -> None:
        """The status was looked at before."""

    async def json(self) -> Any:
        """The document, of whole numbers only.

        Raises:
            PolicyUnreadable: It is no such JSON.
        """
        try:
            return json.loads(self.body, parse_float=_whole, parse_constant=_whole)
        except (ValueError, RecursionError) as error:
            raise PolicyUnreadable("the server's answer is not JSON of whole numbers") from error


class _Client(AsyncOpaClient):  # type: ignore[misc]  # the library ships no types
    """The library's client, on a connection that follows nothing, inherits nothing and reads no more than it must."""

    def __init__(self, url: str, timeout_s: float) -> None:
        place = urlsplit(url)
        self._socket = place.path if place.scheme == "unix" else ""
        super().__init__(host=_host(place.hostname), port=place.port or 80, retries=0, timeout=timeout_s)

    async def _init_session(self) -> None:
        self._connector = (
            aiohttp.UnixConnector(self._socket, limit=CONNECTIONS_MAX)
            if self._socket
            else aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            timeout=aiohttp.ClientTimeout(total=self.timeout),
            headers={"Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    @contextlib.asynccontextmanager
    async def _request(self, method: str, url: str, **more: Any) -> AsyncIterator[_Answer]:
        async with super()._request(method, url, allow_redirects=False, **more) as response:
            body = await _bounded(response)
            if response.status != 200:
                # Its text may quote the input and is never kept.
                raise PolicyError("the server failed", _code(response.status, body))
            yield _Answer(body)

    def drop(self) -> "asyncio.Future[None]":
        """Close every connection now; what comes back only waits for the operating system's word."""
        self._session.detach()
        return asyncio.ensure_future(self._connector.close(), loop=self._connector._loop)


class OpaServer:
    """Evaluates one bundle on a server that has fetched it."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        url: str,
        timeout_s: float = TIMEOUT_S,
        waiting_max: int = WAITING_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take note of which revision counts; the server is asked at the first decision.

        Args:
            bundle: A checked bundle.
            url: Where the server is, of the form SERVER.
            timeout_s: Longest wait for a decision, seconds.
            waiting_max: Most decisions waiting.
            clock: Seconds that only go forward.

        Raises:
            ValueError: The address is not on this machine.
        """
        if re.fullmatch(SERVER, url) is None:
            raise ValueError("the policy engine must be on this machine")
        self._revision = bundle.revision
        self._url = url
        self._timeout_s = timeout_s
        self._waiting_max = waiting_max
        self._clock = clock
        self._circuit = Circuit()
        self._waiting = 0
        self._client: _Client | None = None
        self._closed = False
        self._closing: asyncio.Future[None] | None = None

    async def decide(self, entrypoint: str, document: bytes) -> Evaluation:
        """See Engine."""
        if self._closed:
            raise PolicyUnavailable("the engine is closed")
        if self._waiting >= self._waiting_max:
            raise PolicyUnavailable("too many decisions are waiting")
        try:
            value = json.loads(document)
        except ValueError as error:
            raise PolicyError("the input is no document") from error
        if not self._circuit.may_try(self._clock()):
            raise PolicyUnavailable("the server is gone or too slow, and is left alone for a moment")
        begun = time.perf_counter_ns()
        self._waiting += 1
        try:
            answer = await self._ask(entrypoint, value)
        finally:
            self._waiting -= 1
            self._circuit.given_up()
        return evaluation(answer, self._revision, (time.perf_counter_ns() - begun) // 1_000)

    def close(self) -> None:
        """See Engine."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            self._closing = client.drop()

    async def _ask(self, entrypoint: str, value: object) -> Mapping[str, Any]:
        package, _, rule = entrypoint.rpartition(".")
        try:
            if self._client is None:
                self._client = _Client(self._url, self._timeout_s)
                await self._client._init_session()
            answer = await self._client.query_rule(value, package, rule, query_params=ASKED_FOR)
        except TimeoutError as error:
            self._circuit.failed(self._clock())
            raise PolicyLate("the server did not answer in time") from error
        except aiohttp.ClientConnectionError as error:
            self._circuit.failed(self._clock())
            raise PolicyUnavailable("the server is not there") from error
        except aiohttp.ClientError as error:
            self._circuit.worked()
            raise PolicyUnreadable("the server does not speak as agreed") from error
        except PolicyError:
            self._circuit.worked()
            raise
        self._circuit.worked()
        if not isinstance(answer, dict):
            raise PolicyUnreadable("the server's answer is no object")
        return answer


def evaluation(answer: Mapping[str, Any], revision: str, elapsed_us: int) -> Evaluation:
    """What the server said, once it is clear under which rules.

    Args:
        answer: The whole answer.
        revision: Revision of the rules in force, 64 hexadecimal digits.
        elapsed_us: Time from asking to having it, microseconds.

    Raises:
        PolicyUnreadable: The answer lacks what was asked for.
        PolicyOtherRevision: The server holds other rules.
        PolicyUnavailable: The server is too old.
        PolicyUndefined: There is no decision.
        PolicyError: The decision is no object.
    """
    provenance = answer.get("provenance")
    if not isinstance(provenance, dict):
        raise PolicyUnreadable("the server does not say under which rules it decided")
    version = str(provenance.get("version", ""))
    found = _VERSION.fullmatch(version)
    if found is None:
        raise PolicyUnreadable("the server does not say of which version it is")
    if tuple(map(int, found.groups()[:3])) < OLDEST:
        raise PolicyUnavailable(f"the server is older than {'.'.join(map(str, OLDEST))}")
    if provenance.get("bundles") != {BUNDLE: {"revision": revision}}:
        raise PolicyOtherRevision("the server holds other rules than those in force")
    if "result" not in answer:
        raise PolicyUndefined("the rules gave no decision")
    result = answer["result"]
    if not isinstance(result, dict):
        raise PolicyError("the decision is no object")
    own = answer.get("decision_id", "")
    if own and not (isinstance(own, str) and _DECISION_ID.fullmatch(own)):
        raise PolicyUnreadable("the server's number for the decision is of no known form")
    return Evaluation(result, revision, f"opa {version}", elapsed_us, own)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The whole body.

    Raises:
        PolicyUnreadable: It is too long.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_MAX_BYTES:
            raise PolicyUnreadable("the server's answer is too long")
    return bytes(body)


def _code(status: int, body: bytes) -> str:
    """The status with the server's own word for its failure: `status_500_internal_error`."""
    try:
        word = json.loads(body)["code"]
    except (ValueError, RecursionError, TypeError, KeyError):
        word = ""
    return f"status_{status}_{word}" if isinstance(word, str) and _CODE.fullmatch(word) else f"status_{status}"


def _host(name: str | None) -> str:
    host = name or "localhost"
    return f"[{host}]" if ":" in host else host


def _whole(found: str) -> Any:
    raise ValueError(f"{found} is not a whole number")
