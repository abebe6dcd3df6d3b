"""The policy bundle in force at this node: as the answering pipeline asks it, and where it is kept and loaded."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from accord import bundle as bundles
from accord import catalogue as catalogues
from accord.canonical import Json
from accord.catalogue import Catalogue
from accord.directory import Directory
from accord.reasons import Problem
from agency_node import decide
from agency_node.decide import Local, Person, Word
from agency_node.engines.regorus import Regorus
from agency_node.ledger import Kind, Record, append
from agency_node.stages import Admitted, Opened
from agency_node.store import reading, writing
from agency_node.store.in_force import BundleInForce, bundle_in_force, keep_bundle


class NoRules(Problem):
    """The node has not yet received a policy bundle."""

    reason = "POLICY_UNAVAILABLE"
    cure = "Start the node, which fetches the rules from the broker: accord-node serve."


@dataclass(frozen=True, slots=True)
class OwnRules:
    """This node's own policy; implements what `answer` declares.

    Attributes:
        node: This agency.
        loaded: The bundle's rules, ready to decide.
    """

    node: str
    loaded: decide.Rules

    @property
    def revision(self) -> str:
        """Policy revision in force here."""
        return self.loaded.revision

    @property
    def catalogue(self) -> Catalogue:
        """Its catalogue."""
        return self.loaded.catalogue

    async def before(self, admitted: Admitted) -> str:
        """Decide knowing nothing about the people. Empty when allowed, else the codes why not."""
        return _codes(await self._decide(admitted, None, None))

    async def after(self, admitted: Admitted, opened: Opened) -> str:
        """Decide again for one person who was found. Empty when allowed, else the codes why not."""
        person = Person(opened.content.ref, opened.content.role, opened.content.age_band)
        local = Local(
            linkage="matched",
            agreement_binds=opened.agreement is not None if self._needs_agreement(admitted) else None,
            data_age_s=0,
        )
        return _codes(await self._decide(admitted, person, local))

    def _needs_agreement(self, admitted: Admitted) -> bool:
        purpose = self.catalogue.purposes.get(admitted.statement.core.purpose)
        return purpose is not None and purpose.agreement == "required"

    async def _decide(self, admitted: Admitted, person: Person | None, local: Local | None) -> Word:
        document = decide.build_input(
            core=admitted.statement.core,
            gateway=admitted.statement.part.gateway,
            node=self.node,
            at_ns=admitted.at_ns,
            rules=self.loaded,
            person=person,
            local=local,
        )
        return await decide.decide(self.loaded, document, self.node)


def _codes(word: Word) -> str:
    if word.allow:
        return ""
    return " ".join(sorted({code for code, _ in word.denials})) or "NOT_ALLOWED"


def catalogue_in_force(engine: Engine, directory: Directory) -> tuple[str, Catalogue]:
    """Revision and catalogue of the bundle in force, for who asks or looks: no rule is loaded, no engine started.

    Args:
        engine: The node's state.
        directory: The directory in force, whose policy keys count.

    Raises:
        NoRules: No bundle has been received yet.
        BadBundle: The stored one no longer verifies.
        BadCatalogue: Its catalogue does not have its form.
    """
    opened = bundles.open_bundle(_stored(engine), directory.broker.policy_public_keys())
    return opened.revision, catalogues.parse(opened.files[catalogues.PATH])


def _stored(engine: Engine) -> bytes:
    with reading(engine) as connection:
        stored = bundle_in_force(connection)
    if stored is None:
        raise NoRules("no policy bundle has been received yet")
    return stored.bundle


@dataclass(slots=True)
class RulesInForce:
    """The policy bundle in force at this node: kept in its state, loaded once.

    Attributes:
        agency: This agency.
        engine: The node's state.
        directory: Gives the directory in force, whose policy keys count.
    """

    agency: str
    engine: Engine
    directory: Callable[[], Directory]
    _loaded: OwnRules | None = None

    def current(self) -> OwnRules:
        """The rules in force.

        Raises:
            NoRules: No bundle has been received yet.
            BadBundle: The stored one no longer verifies.
        """
        if self._loaded is None:
            self._loaded = self._load(_stored(self.engine))
        return self._loaded

    def revision(self) -> str:
        """The revision in force; empty when there is none."""
        try:
            return self.current().revision
        except Problem:
            return ""

    def take(self, data: bytes, revision: str, at_ns: int) -> None:
        """Verify, store and load a bundle.

        Raises:
            BadBundle: It is not signed by a policy key of the directory, or is another revision than announced.
        """
        fresh = self._load(data)
        if fresh.revision != revision:
            raise bundles.BadBundle("the bundle is of another revision than was announced")
        fields: dict[str, Json] = {"policy": revision, "catalogue": fresh.catalogue.digest}
        with writing(self.engine) as connection:
            keep_bundle(connection, BundleInForce(revision, data), at_ns)
            append(connection, [Record(Kind.POLICY_ACTIVATED, at_ns, fields)])
        old, self._loaded = self._loaded, fresh
        if old is not None:
            old.loaded.engine.close()

    def close(self) -> None:
        """Stop the engine."""
        if self._loaded is not None:
            self._loaded.loaded.engine.close()

    def _load(self, data: bytes) -> OwnRules:
        opened = bundles.open_bundle(data, self.directory().broker.policy_public_keys())
        return OwnRules(self.agency, decide.load(opened, Regorus))
