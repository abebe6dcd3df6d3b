"""The policy bundle and the federation directory in force, so that a restart begins where the last run ended."""

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import Connection, select

from accord.reasons import Problem
from agency_node.store.database import upsert
from agency_node.store.tables import directory, policy_bundle


@dataclass(frozen=True, slots=True)
class BundleInForce:
    """A policy bundle whose signature was checked before it was stored.

    Attributes:
        revision: Its revision.
        bundle: The tar.gz file, byte for byte. Check the signature again when reading it.
    """

    revision: str
    bundle: bytes


class DirectoryOlder(Problem):
    """A directory file is older than the one already in use."""

    reason: ClassVar[str] = "DIRECTORY_OLDER"


def keep_bundle(connection: Connection, bundle: BundleInForce, at_ns: int) -> None:
    """Put a policy bundle in force, in place of the one before."""
    values = {"revision": bundle.revision, "bundle": bundle.bundle, "at_ns": at_ns}
    statement = upsert(connection, policy_bundle).values(id=1, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def bundle_in_force(connection: Connection) -> BundleInForce | None:
    """The policy bundle in force, or None when the node has not received one."""
    row = connection.execute(select(policy_bundle)).first()
    return None if row is None else BundleInForce(row.revision, row.bundle)


def keep_directory(connection: Connection, version: int, file: bytes) -> None:
    """Store a directory file whose signature was checked, unless an equal or newer one is there.

    Raises:
        DirectoryOlder: A newer one is in use, or other bytes of the same version.
    """
    there = directory_in_force(connection)
    if there is not None and (there[0] > version or (there[0] == version and there[1] != file)):
        raise DirectoryOlder(f"version {version} was offered, version {there[0]} is in use")
    values = {"version": version, "file": file}
    statement = upsert(connection, directory).values(id=1, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def directory_in_force(connection: Connection) -> tuple[int, bytes] | None:
    """Version and bytes of the newest directory accepted, or None. Check the signature again when reading it."""
    row = connection.execute(select(directory)).first()
    return None if row is None else (row.version, row.file)
