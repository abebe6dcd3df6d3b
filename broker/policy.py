"""Build a signed policy bundle out of the policies directory.

    rules, YAML, JSON -> read strictly -> checked row by row -> checked together -> compiled -> packed -> signed

* This is the only place that reads YAML; everything else reads the bundle.
* A mistake names its file, its field and what to do (PolicyMistake). Nothing is built from a directory with a mistake.
* Dates become integer nanoseconds, so that no rule reads a date: no start means "never" and no end means "always".
* The same directory, profile and key give the same bytes.
"""

import gzip
import io
import json
import re
import tarfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from accord import bundle, canonical, catalogue
from accord.canonical import Json, b64url, encode, sha256
from accord.reasons import Problem
from broker.lint import OWN_RULES, Fault, lint

PROFILES: Final = ("demo", "production")
"""demo works with law that no lawyer has checked yet; production refuses it."""

DATA: Final = "accord/data/data.json"
CALENDAR: Final = "data/calendar/england.json"
MODELS: Final = "data/models/models.json"
SHIPPED_SCHEMAS: Final = ("schemas/input.json", "schemas/decision.json")

FOREVER_NS: Final = 2**63 - 1
"""A start that never comes, or an end that never comes."""

_FURTHER_CODES: Final = ("dea_objectives", "escalation_codes", "break_glass_grounds")
"""Lists of codes that rules read and no screen offers."""

MAX_FILE_BYTES: Final = 1024 * 1024
DAY_NS: Final = 86_400_000_000_000
_REFUSES: Final = re.compile(rb"(?m)^(?:default )?refusals\b")
"""A question's rule may refuse by itself; most only permit."""


class PolicyMistake(Problem):
    """The policies directory holds a mistake.

    Attributes:
        file: Where, from the policies directory.
        field: Which field, with dots; empty for the whole file.
        cure: What to do.
        faults: Every fault in the rules, where the mistake is in a rule.
    """

    reason = "BAD_BUNDLE"

    def __init__(self, file: str, field: str, cure: str, faults: tuple[Fault, ...] = ()) -> None:
        """Say where the mistake is and what to do."""
        super().__init__(f"{file}{': ' + field if field else ''}: {cure}")
        self.file = file
        self.field = field
        self.cure = cure
        self.faults = faults


def build(policies: Path, profile: str, key: EllipticCurvePrivateKey, kid: str) -> bytes:
    """Build and sign a bundle.

    Args:
        policies: The policies directory.
        profile: One of PROFILES.
        key: P-256 key that signs policy.
        kid: Its identifier, by which nodes look up the public key.

    Returns:
        The archive, as accord.bundle.open_bundle reads it.

    Raises:
        PolicyMistake: The directory holds a mistake.
    """
    return pack(compile_files(policies, profile), key, kid)


def pack(files: Mapping[str, bytes], key: EllipticCurvePrivateKey, kid: str) -> bytes:
    """Sign files and pack them into an archive that depends on nothing but them and the key.

    Args:
        files: Path -> content; JSON in canonical form.
        key: P-256 key that signs policy.
        kid: Its identifier.
    """
    if not isinstance(key.curve, SECP256R1):
        raise ValueError("policy is signed with a P-256 key")
    signed = {**files, bundle.MANIFEST: bundle.manifest_bytes(bundle.revision(files))}
    rows = [{"algorithm": "SHA-256", "hash": sha256(signed[path]).hex(), "name": path} for path in sorted(signed)]
    header = encode({"alg": "ES256", "kid": kid, "typ": "JWT"})
    signing_input = f"{b64url(header)}.{b64url(encode({'files': rows}))}".encode()
    # RFC 6979: the same key and content give the same signature, so a bundle can be rebuilt and compared.
    r, s = decode_dss_signature(key.sign(signing_input, ECDSA(hashes.SHA256(), deterministic_signing=True)))
    token = signing_input.decode() + "." + b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return archive({**signed, bundle.SIGNATURES: encode({"signatures": [token]})})


def archive(files: Mapping[str, bytes]) -> bytes:
    """A gzipped tar archive of files, in order of name, without times or owners."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        for path in sorted(files):
            member = tarfile.TarInfo(path)
            member.size = len(files[path])
            member.mode = 0o644
            packed.addfile(member, io.BytesIO(files[path]))
    return gzip.compress(raw.getvalue(), compresslevel=9, mtime=0)


def compile_files(policies: Path, profile: str) -> dict[str, bytes]:
    """Read, check and compile the policies directory.

    Args:
        policies: The policies directory.
        profile: One of PROFILES.

    Returns:
        Path in the bundle -> content.

    Raises:
        PolicyMistake: The directory holds a mistake.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile is one of {PROFILES}")
    manifest = _json(policies, policies / ".manifest")
    if manifest != {"roots": bundle.ROOTS}:
        raise PolicyMistake(".manifest", "roots", 'write {"roots":["accord"]}')
    rows = read_rows(policies)
    _check_together(rows)
    files = {DATA: encode(_compiled(rows, profile)), catalogue.PATH: encode(_catalogue(rows))}
    try:
        catalogue.parse(files[catalogue.PATH])
    except catalogue.BadCatalogue as error:
        raise PolicyMistake("data/questions", "", str(error)) from error
    files.update(_rules(policies))
    files[OWN_RULES] = _own_rules(files, rows["questions"])
    for path in SHIPPED_SCHEMAS:
        files[path] = encode(_json(policies, policies / path))
    faults = lint(files)
    if faults:
        first = faults[0]
        raise PolicyMistake(
            first.file, f"line {first.line}, column {first.column}", f"{first.told} {first.cure}", faults
        )
    return files


# --- Reading ---------------------------------------------------------------------------------------------------------


class _PlainLoader(yaml.SafeLoader):
    """YAML with text, whole numbers, true, false and null only; each key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are texts, each once."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if any(not isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key is not a text or stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


_PlainLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", "tf"),
    ("tag:yaml.org,2002:int", r"^(?:0|[1-9][0-9]*)$", "0123456789"),
    ("tag:yaml.org,2002:null", r"^(?:null|~|)$", ["n", "~", ""]),
):
    _PlainLoader.add_implicit_resolver(_tag, re.compile(_pattern), list(_first))


def _text(policies: Path, path: Path) -> str:
    name = path.relative_to(policies).as_posix()
    if path.is_symlink() or not path.is_file():
        raise PolicyMistake(name, "", "put a plain file here")
    content = path.read_bytes()
    if len(content) > MAX_FILE_BYTES:
        raise PolicyMistake(name, "", "keep the file below one megabyte")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise PolicyMistake(name, "", "save the file as UTF-8") from error


def _json(policies: Path, path: Path) -> Json:
    name = path.relative_to(policies).as_posix()

    def once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        if len(dict(pairs)) != len(pairs):
            raise PolicyMistake(name, "", "a key stands twice in one object; remove one")
        return dict(pairs)

    def whole(found: str) -> Json:
        raise PolicyMistake(name, "", f"{found} is not a whole number")

    try:
        value: Json = json.loads(_text(policies, path), object_pairs_hook=once, parse_float=whole, parse_constant=whole)
    except json.JSONDecodeError as error:
        raise PolicyMistake(name, f"line {error.lineno}", f"this is not JSON: {error.msg}") from error
    return _canonical(name, value)


def _yaml(policies: Path, path: Path) -> Json:
    name = path.relative_to(policies).as_posix()
    try:
        # The loader is a SafeLoader with even fewer types.
        value = yaml.load(_text(policies, path), Loader=_PlainLoader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}"
        raise PolicyMistake(name, line, f"this is not the YAML that is read here: {error.problem}") from error
    except yaml.YAMLError as error:
        raise PolicyMistake(name, "", "this is not YAML") from error
    return _canonical(name, value)


def _canonical(name: str, value: Json) -> Json:
    try:
        encode(value)
    except canonical.NotCanonical as error:
        raise PolicyMistake(name, "", str(error)) from error
    return value


def _check(policies: Path, schema: str, file: str, value: Json) -> dict[str, Any]:
    rules = _json(policies, policies / "schemas" / f"{schema}.json")
    if not isinstance(rules, dict):
        raise PolicyMistake(f"schemas/{schema}.json", "", "write an object")
    validator = jsonschema_rs.Draft202012Validator(rules)
    for error in validator.iter_errors(value):
        field = ".".join(str(step) for step in error.instance_path)
        raise PolicyMistake(file, field, f"{error.message[:300]}{_wanted(rules, error.schema_path)}")
    if not isinstance(value, dict):
        raise PolicyMistake(file, "", "write an object")
    return value


def _wanted(schema: Mapping[str, Any], path: Sequence[str | int]) -> str:
    """What the schema says is wanted at the innermost described place on the way to a mistake."""
    wanted, place = "", schema
    for step in path:
        place = place[step]  # type: ignore[index]  # a path of the schema's own steps
        if isinstance(place, dict) and isinstance(place.get("description"), str):
            wanted = f". Wanted: {place['description']}"
    return wanted


Rows = dict[str, dict[str, Any]]


def read_rows(policies: Path) -> dict[str, Rows]:
    """Every row of data, read and checked on its own: table -> id -> row, as people wrote it.

    Raises:
        PolicyMistake: A file holds a mistake.
    """
    return {
        "agencies": _one_a_file(policies, "agencies", "agency"),
        "purposes": _one_a_file(policies, "purposes", "purpose"),
        "gateways": _one_a_file(policies, "gateways", "gateway"),
        "isa": _one_a_file(policies, "isa", "isa"),
        "questions": _one_a_file(policies, "questions", "question", ".yaml"),
        "roles": _one_file(policies, "data/roles/roles.json", "roles"),
        "limits": {
            "limits": _one_file(policies, "data/limits/limits.json", "limits"),
            "necessity_codes": _one_file(policies, "data/limits/necessity_codes.json", "codes"),
            "proportionality_codes": _one_file(policies, "data/limits/proportionality_codes.json", "codes"),
            "sch1_conditions": _one_file(policies, "data/limits/sch1_conditions.json", "conditions"),
            **{name: _one_file(policies, f"data/limits/{name}.json", "codes") for name in _FURTHER_CODES},
        },
        "models": _one_file(policies, MODELS, "models"),
        "calendar": {"england": _one_file(policies, CALENDAR, "calendar")},
        "reasons": _reasons(policies),
    }


def _one_file(policies: Path, file: str, schema: str) -> dict[str, Any]:
    return _check(policies, schema, file, _json(policies, policies / file))


def _files(policies: Path, folder: str, suffix: str) -> list[Path]:
    found = sorted((policies / "data" / folder).iterdir())
    for path in found:
        if path.suffix != suffix:
            raise PolicyMistake(path.relative_to(policies).as_posix(), "", f"only {suffix} files belong here")
    return found


def _one_a_file(policies: Path, folder: str, schema: str, suffix: str = ".json") -> Rows:
    read: Callable[[Path, Path], Json] = _yaml if suffix == ".yaml" else _json
    rows: Rows = {}
    for path in _files(policies, folder, suffix):
        file = path.relative_to(policies).as_posix()
        row = _check(policies, schema, file, read(policies, path))
        if row["id"] != path.name.removesuffix(suffix):
            raise PolicyMistake(file, "id", f"name the file {row['id']}{suffix}, like its id")
        rows[row["id"]] = row
    return rows


def _reasons(policies: Path) -> Rows:
    rows: Rows = {}
    for path in _files(policies, "reasons", ".json"):
        file = path.relative_to(policies).as_posix()
        for code, row in _check(policies, "reasons", file, _json(policies, path)).items():
            if code in rows:
                raise PolicyMistake(file, code, "this code already stands in another file of data/reasons")
            if row["section"] != path.stem:
                raise PolicyMistake(file, f"{code}.section", f"write {path.stem}, like the file")
            rows[code] = row
    return rows


# --- Checking together -----------------------------------------------------------------------------------------------


def _check_together(rows: Mapping[str, Rows]) -> None:
    for id_, row in rows["purposes"].items():
        file = f"data/purposes/{id_}.json"
        _known(file, "gateways", row["gateways"], rows["gateways"], "data/gateways")
        for gateway in row["gateways"]:
            if id_ not in rows["gateways"][gateway]["purposes"]:
                raise PolicyMistake(file, "gateways", f"{gateway} does not list this purpose; change both or neither")
        if row["min_tier"] > row["max_tier"]:
            raise PolicyMistake(file, "min_tier", "the lowest level is above the highest")
    for day in rows["calendar"]["england"]["days"]:
        _ns(CALENDAR, f"days.{day}", f"{day}T00:00:00Z")
    for id_, row in rows["models"].items():
        _known(MODELS, f"{id_}.questions", row["questions"], rows["questions"], "data/questions")
        _dates(MODELS, row)
    for id_, row in rows["agencies"].items():
        for character in row["characters"]:
            _objectives(f"data/agencies/{id_}.json", character, rows["limits"]["dea_objectives"])
    for id_, row in rows["gateways"].items():
        file = f"data/gateways/{id_}.json"
        _dates(file, row)
        for purpose in row["purposes"]:
            if id_ not in rows["purposes"].get(purpose, {}).get("gateways", {}):
                raise PolicyMistake(file, "purposes", f"purpose {purpose} does not list this gateway; change both")
    for id_, row in rows["isa"].items():
        file = f"data/isa/{id_}.json"
        _dates(file, row)
        _known(file, "parties", row["parties"], rows["agencies"], "data/agencies")
        _known(file, "questions", row["questions"], rows["questions"], "data/questions")
        _known(file, "purposes", row["purposes"], rows["purposes"], "data/purposes")
    for id_, row in rows["questions"].items():
        file = f"data/questions/{id_}.yaml"
        _known(file, "owners", row["owners"], rows["agencies"], "data/agencies")
        _known(file, "purposes", row["purposes"], rows["purposes"], "data/purposes")
        _known(file, "gateways", row["gateways"], row["owners"], "the owners of the question")
        for agency, claims in row["gateways"].items():
            _known(file, f"gateways.{agency}", claims, row["purposes"], "the purposes of the question")
            for purpose, gateway in claims.items():
                field = f"gateways.{agency}.{purpose}"
                _known(file, field, [gateway], rows["purposes"][purpose]["gateways"], f"data/purposes/{purpose}.json")
        if (row["yes_when"] == "count") != (row["window_days"] is not None):
            raise PolicyMistake(file, "window_days", "a question that counts has a window; one that does not has null")
        if row["deprecated_by"] is not None:
            _known(file, "deprecated_by", [row["deprecated_by"]], rows["questions"], "data/questions")


def _objectives(file: str, character: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    if ("objectives" in character) != (character["id"] == "dea_specified"):
        raise PolicyMistake(file, "characters", "dea_specified names its objectives, and nothing else has any")
    _known(file, "characters.objectives", character.get("objectives", ()), known, "data/limits/dea_objectives.json")


def _known(file: str, field: str, names: Sequence[str] | Mapping[str, Any], known: Any, where: str) -> None:
    for name in names:
        if name not in known:
            raise PolicyMistake(file, field, f"{name} is not in {where}")


def _dates(file: str, row: Mapping[str, Any]) -> None:
    start, end = _start_ns(file, row), _end_ns(file, row)
    if row["effective_from"] is not None and start >= end:
        raise PolicyMistake(file, "effective_to", "the end is not after the start")


def _ns(file: str, field: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise PolicyMistake(file, field, "there is no such day or time") from error
    return int(moment.timestamp()) * 1_000_000_000


def _start_ns(file: str, row: Mapping[str, Any]) -> int:
    return FOREVER_NS if row["effective_from"] is None else _ns(file, "effective_from", row["effective_from"])


def _end_ns(file: str, row: Mapping[str, Any]) -> int:
    return FOREVER_NS if row["effective_to"] is None else _ns(file, "effective_to", row["effective_to"])


# --- Compiling -------------------------------------------------------------------------------------------------------


def _compiled(rows: Mapping[str, Rows], profile: str) -> dict[str, Any]:
    """The data that rules and broker read, under data.accord.data."""
    limits = rows["limits"]["limits"]
    return {
        "profile": profile,
        "agencies": {id_: _agency(f"data/agencies/{id_}.json", row) for id_, row in rows["agencies"].items()},
        "roles": rows["roles"],
        "purposes": {id_: _dated(f"data/purposes/{id_}.json", row) for id_, row in rows["purposes"].items()},
        "gateways": {id_: _gateway(f"data/gateways/{id_}.json", row) for id_, row in rows["gateways"].items()},
        "isa": {id_: _isa(f"data/isa/{id_}.json", row) for id_, row in rows["isa"].items()},
        "isa_index": _isa_index(rows["isa"]),
        "limits": {
            **{name: value for name, value in limits.items() if name != "told_max_delay_days"},
            "told_max_delay_ns": limits["told_max_delay_days"] * DAY_NS,
            "necessity_codes": rows["limits"]["necessity_codes"],
            "proportionality_codes": rows["limits"]["proportionality_codes"],
            "sch1_conditions": rows["limits"]["sch1_conditions"],
            **{name: rows["limits"][name] for name in _FURTHER_CODES},
        },
        "bank_holidays": sorted(rows["calendar"]["england"]["days"]),
        "models": {id_: _dated(MODELS, row) for id_, row in rows["models"].items()},
        "reasons": rows["reasons"],
    }


def _dated(file: str, row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in {"effective_from", "effective_to", "review_on"}}
    return {**kept, "effective_from_ns": _start_ns(file, row), "effective_to_ns": _end_ns(file, row)}


def _looked_up(row: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """A row whose lists are tables, so that rules look things up in them and do not search."""
    return {**row, **{field: dict.fromkeys(row[field], True) for field in fields}}


def _gateway(file: str, row: Mapping[str, Any]) -> dict[str, Any]:
    fields = ("art6", "requester_any", "responder_any", "responder_kinds", "jurisdictions")
    return _looked_up(_dated(file, row), fields)


def _isa(file: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return _looked_up(_dated(file, row), ("questions", "purposes"))


def _agency(file: str, row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in {"dpia_until", "apd_until"}}
    return {
        **kept,
        "characters": [
            {name: value for name, value in _dated(file, character).items() if name != "objectives"}
            for character in row["characters"]
        ],
        "objectives": {one: True for character in row["characters"] for one in character.get("objectives", ())},
        "dpia_until_ns": None if row["dpia_until"] is None else _ns(file, "dpia_until", row["dpia_until"]),
        "apd_until_ns": None if row["apd_until"] is None else _ns(file, "apd_until", row["apd_until"]),
    }


def _isa_index(isa: Rows) -> dict[str, dict[str, list[str]]]:
    """Asker -> holder -> sharing agreements between them, so that no rule searches through all of them."""
    index: dict[str, dict[str, list[str]]] = {}
    for id_ in sorted(isa):
        for asker in isa[id_]["parties"]:
            for holder in isa[id_]["parties"]:
                if asker != holder:
                    index.setdefault(asker, {}).setdefault(holder, []).append(id_)
    return index


def _catalogue(rows: Mapping[str, Rows]) -> dict[str, Any]:
    """The catalogue, as accord.catalogue reads it."""
    return {
        "v": 1,
        "questions": {
            id_: {**row, **{name: sorted(row[name]) for name in ("subjects", "owners", "purposes")}}
            for id_, row in rows["questions"].items()
        },
        "gateways": {
            id_: {name: row[name] for name in ("title", "cite", "art6")} for id_, row in rows["gateways"].items()
        },
        "purposes": {
            id_: {
                "kind": row["class"],
                **{name: row[name] for name in ("title", "agreement", "min_tier", "max_tier", "case_required")},
            }
            for id_, row in rows["purposes"].items()
        },
        "agencies": {
            id_: {
                "title": row["title"],
                "contact": row["contact"],
                "public": all(character["id"] != "non_public" for character in row["characters"]),
            }
            for id_, row in rows["agencies"].items()
        },
        "sharing_agreements": [
            {
                **{name: rows["isa"][id_][name] for name in ("id", "title", "parties", "questions", "purposes")},
                "effective_from_ns": _start_ns(id_, rows["isa"][id_]),
                "effective_to_ns": _end_ns(id_, rows["isa"][id_]),
            }
            for id_ in sorted(rows["isa"])
        ],
        **{name: rows["limits"][name] for name in ("necessity_codes", "proportionality_codes", "sch1_conditions")},
    }


# --- Rules -----------------------------------------------------------------------------------------------------------


def _rules(policies: Path) -> dict[str, bytes]:
    """Every rule file but the tests."""
    rules: dict[str, bytes] = {}
    for path in sorted((policies / "accord").rglob("*.rego")):
        file = path.relative_to(policies).as_posix()
        if path.name.endswith("_test.rego"):
            continue
        rules[file] = _text(policies, path).encode()
    return rules


def _own_rules(files: Mapping[str, bytes], questions: Rows) -> bytes:
    """The rule file that leads from a question's identifier to its own rule.

    Looking a package up by a name out of the input costs an engine more than all other rules together, so the names
    are written out. Each question has its own rule and each rule belongs to a question.
    """
    found = {path for path in files if path.startswith("accord/questions/")}
    parts = ["package accord.query\n\ndefault own_permit := false\n\ndefault own_refusals := set()\n"]
    for id_ in sorted(questions):
        area, name = id_.split(".")
        file = f"accord/questions/{area}/{name}/{name}.rego"
        if file not in found:
            raise PolicyMistake(f"data/questions/{id_}.yaml", "id", f"write the question's own rule, {file}")
        found.remove(file)
        parts.append(
            f'own_permit := data.accord.questions.{area}.{name}.permit if input.request.question_id == "{id_}"\n'
        )
        if _REFUSES.search(files[file]):
            parts.append(
                f"own_refusals := {{d | some d in data.accord.questions.{area}.{name}.refusals}} if {{\n"
                f'\tinput.request.question_id == "{id_}"\n}}\n'
            )
    for file in sorted(found):
        raise PolicyMistake(file, "", "no question of data/questions has this rule; write the question or remove it")
    return "\n".join(parts).encode()
