"""Words that must not stand in this project, and one word that must keep its one meaning."""

import io
import re
import tokenize
from typing import Final

import pytest

from tests.shape.tree import text_files

# Each pattern is written so that it does not match itself.
FORBIDDEN: Final = {
    "a path of somebody's own machine": r"(?<![\w.])/(wor[k]|hom[e]|roo[t]|User[s]|tm[p])/[\w.]",
    "a host that packages come from": r"p[y]pi\.org|p[y]thonhosted|registr[y]\.npmjs|prox[y]\.golang|de[b]\.debian",
    "something left undone": r"\b(TOD[O]|FIXM[E]|XX[X])\b|pragma: no cove[r]",
    "how it was written": r"\b(A[I]|LL[M]s?)\b|(?i:clau[d]e|anthropi[c]|open[a]i|chatgp[t]|copilo[t]|\.\./share[d])",
    "a page that is not part of the project": (
        r"\b(DESIG[N]|LINKAG[E]|LA[W]|STYL[E]|INVARIANT[S]|MISSIO[N]|DEPENDENCIE[S]|BRIE[F])\b(?!-)"
    ),
}

SHAPELESS: Final = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"})
"""File names that say nothing; `common.proto` is the one exception, the words that all messages share."""


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    """The project speaks of itself alone: whoever reads it has the same files and no others."""
    pattern = re.compile(FORBIDDEN[what])

    found = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]

    assert [] == found


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a path of somebody's own machine", "see /" + "home/kim/notes"),
        ("a host that packages come from", "https://p" + "ypi.org/simple"),
        ("something left undone", "# TO" + "DO: later"),
        ("how it was written", "an A" + "I wrote this"),
        ("a page that is not part of the project", "as DESI" + "GN.md says"),
        ("a page that is not part of the project", "(LA" + "W: any agency may)"),
    ],
)
def test_the_patterns_can_find_what_they_look_for(what: str, line: str) -> None:
    """Control: a pattern that matches nothing would let everything pass."""
    assert re.search(FORBIDDEN[what], line)


def test_a_familys_agreement_is_never_called_consent_in_code() -> None:
    """Consent is a term of data-protection law and hardly ever the ground here; a name in code would blur the two."""
    found = []
    for path, text in text_files():
        if path.suffix == ".py":
            names = {
                token.string
                for token in tokenize.generate_tokens(io.StringIO(text).readline)
                if token.type == tokenize.NAME
            }
        elif path.suffix == ".proto":
            code = re.sub(r"//.*", "", text)
            names = set(re.findall(r"\w+", code))
        else:
            continue
        # T-CON numbers and this test's own name are text, or say so.
        found += [
            f"{path}: {name}" for name in sorted(names) if "consent" in name.lower() and not name.startswith("test_")
        ]

    assert [] == found


def test_every_file_name_says_what_is_inside() -> None:
    """A file called utils becomes a heap; two of them become a cycle."""
    found = [
        str(path)
        for path, _ in text_files()
        if path.stem in SHAPELESS and path.name != "common.proto" and path.suffix in {".py", ".proto", ".rego"}
    ]

    assert [] == found
