"""Which weights of linkage are in force: those that ship, or the node's own that its operator has put in their place.

    learnt (`refit`) -> draft -> looked at, measured -> put in force by the operator -> read at a start -> noted

* Nothing is put in force by itself: a draft counts for nothing until the operator says so.
* The node's own are held to those that ship (`scoring.held_to`): they neither confirm anybody alone nor say *no* alone.
* A start under other weights than the last one is noted in the node's own ledger, with their digest: whoever changed
  the file, the auditor reads when it began to count.
"""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar, Final

from sqlalchemy import Engine, select

from accord.canonical import sha256
from accord.reasons import Problem
from agency_node import keys
from agency_node.ledger import Kind, Record, append
from agency_node.scoring import BadStatistics, Prior, parse_prior, shipped_prior
from agency_node.store import reading, writing
from agency_node.store.tables import node_entry

_SHIPPED: Final = resources.files("agency_node").joinpath("link_prior.json")


class BadWeights(Problem):
    """The node's own weights, or a draft of them, cannot be used."""

    reason: ClassVar[str] = "BAD_SETTINGS"
    cure: ClassVar[str] = (
        "Learn them anew: accord-node linkage refit. Without the file that link_prior names, those that ship are used."
    )


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of linkage.

    Attributes:
        prior: What they are.
        digest: SHA-256 of their file, hexadecimal.
        shipped: Those that they are held to; None when they are those that ship.
    """

    prior: Prior
    digest: str
    shipped: Prior | None


def in_force(path: Path) -> Weights:
    """The weights that a node uses.

    Args:
        path: The setting `link_prior`. Where there is no such file, it is those that ship.

    Raises:
        BadWeights: There is a file, but no weights in it.
    """
    if not path.exists():
        return Weights(shipped_prior(), sha256(_SHIPPED.read_bytes()).hex(), None)
    return _read(path)


def draft_of(path: Path) -> Path:
    """Where a draft lies: beside the file that it may replace."""
    return path.with_suffix(".draft.json")


def keep_draft(path: Path, prior: Prior) -> str:
    """Write a draft, in place of the one before.

    Args:
        path: The setting `link_prior`.
        prior: What was learnt.

    Returns:
        Its digest, hexadecimal.

    Raises:
        agency_node.keys.BadFile: The folder cannot be written.
    """
    content = prior.to_json().encode()
    draft = draft_of(path)
    keys.replace(draft.parent, draft.name, content)
    return sha256(content).hex()


def use_draft(path: Path) -> Weights:
    """Put the draft in force from the next start on, just as it was looked at.

    Args:
        path: The setting `link_prior`.

    Raises:
        BadWeights: There is no draft, or no weights in it.
        agency_node.keys.BadFile: The folder cannot be written.
    """
    draft = draft_of(path)
    if not draft.exists():
        raise BadWeights(f"there is no draft at {draft}")
    found = _read(draft)
    keys.replace(path.parent, path.name, keys.read(draft))
    draft.unlink()
    return found


def note(engine: Engine, weights: Weights, at_ns: int) -> bool:
    """Record in the node's own ledger that other weights count from now on; those that ship, counted before any other.

    Args:
        engine: The node's state.
        weights: Those in force.
        at_ns: Now, nanoseconds since 1970.

    Returns:
        Whether they are others than at the last start.
    """
    with reading(engine) as connection:
        body: bytes | None = connection.execute(_LAST).scalar()
    last = None if body is None else json.loads(body).get("weights")
    if weights.digest == last or (last is None and weights.shipped is None):
        return False
    with writing(engine) as connection:
        fields = {"weights": weights.digest, "weights_version": weights.prior.version}
        append(connection, [Record(Kind.WEIGHTS_CHANGED, at_ns, {**fields})])
    return True


def _read(path: Path) -> Weights:
    try:
        content = keys.read(path)
        prior = parse_prior(content.decode())
    except (keys.BadFile, BadStatistics, UnicodeDecodeError):
        raise BadWeights(f"{path} cannot be read, or does not hold weights that add up") from None
    return Weights(prior, sha256(content).hex(), shipped_prior())


_LAST: Final = (
    select(node_entry.c.body)
    .where(node_entry.c.kind == Kind.WEIGHTS_CHANGED)
    .order_by(node_entry.c.idx.desc())
    .limit(1)
)
