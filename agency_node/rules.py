"""The policy bundle in force at this node, as the answering pipeline asks it."""

from dataclasses import dataclass

from accord.catalogue import Catalogue
from accord.reasons import Problem
from agency_node import decide
from agency_node.decide import Local, Person, Word
from agency_node.stages import Admitted, Opened


class NoRules(Problem):
    """The node has not yet received a policy bundle."""

    reason = "POLICY_UNAVAILABLE"


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
