"""The generated messages are those of the .proto files, and the wire contract changes only on purpose."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROTOS = Path(__file__).resolve().parents[2] / "protos"
SOURCES = sorted(path.relative_to(PROTOS).as_posix() for path in PROTOS.glob("accord/v1/*.proto"))


def generated(folder: Path) -> dict[str, str]:
    """Everything in the folder that the protobuf compiler writes, by name."""
    return {path.name: path.read_text() for path in folder.glob("*_pb2*.py*")}


def test_the_committed_code_is_what_the_proto_files_give(require_tool: Callable[[str], str], tmp_path: Path) -> None:
    """Nobody edits generated code by hand, and nobody forgets to make it anew: `make proto`."""
    plugins = str(Path(require_tool("protoc-gen-mypy")).parent)
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, *SOURCES],
        cwd=PROTOS,
        check=True,
        timeout=600,
        env=os.environ | {"PATH": plugins + os.pathsep + os.environ.get("PATH", "")},
    )
    made = generated(tmp_path / "accord/v1")

    assert len(SOURCES) * 4 == len(made)
    assert sorted(made) == sorted(generated(PROTOS / "accord/v1"))
    assert [] == [name for name, text in generated(PROTOS / "accord/v1").items() if text != made[name]]


def breaking(buf: str, folder: Path) -> tuple[bool, str]:
    """Does buf find the contract in the folder breaking, and what does it say?"""
    ran = subprocess.run(
        [buf, "breaking", "--against", str(PROTOS / "baseline.binpb")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return ran.returncode != 0, ran.stdout + ran.stderr


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """A copy of the .proto files that a test may spoil."""
    for name in ["buf.yaml", *SOURCES]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROTOS / name, tmp_path / name)
    return tmp_path


def test_the_contract_still_fits_the_one_that_was_published(require_tool: Callable[[str], str], contract: Path) -> None:
    """T-OPS-4: agencies update at different times, so what one side writes the other must still read."""
    assert (False, "") == breaking(require_tool("buf"), contract)


SPOILT = {
    "a field with another number": ("common.proto", "string cure = 3;", "string cure = 19;"),
    "a field with another type": ("common.proto", "string cure = 3;", "bytes cure = 3;"),
    "a field with another name": ("common.proto", "string cure = 3;", "string remedy = 3;"),
    "an answer with another number": ("common.proto", "ANSWER_NO = 2;", "ANSWER_NO = 7;"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_breaking_change_is_caught(require_tool: Callable[[str], str], contract: Path, name: str) -> None:
    """T-OPS-4: control of the test above: a number on the wire never means anything else."""
    file, before, after = SPOILT[name]
    path = contract / "accord/v1" / file
    text = path.read_text()
    assert before in text, "choose another field to spoil"
    path.write_text(text.replace(before, after, 1))

    found, said = breaking(require_tool("buf"), contract)

    assert (True, True) == (found, f"accord/v1/{file}" in said)
