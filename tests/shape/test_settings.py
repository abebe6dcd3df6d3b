"""Every settings file that is shipped can be loaded by the program it is for."""

from pathlib import Path

import pytest

from agency_node import settings as node_settings
from broker import settings as broker_settings
from tests.shape.tree import ROOT

FOLDER = ROOT / "deploy" / "settings"
FILES = sorted(FOLDER.glob("*.toml"))


def _load(file: Path) -> object:
    if file.name.startswith("broker"):
        return broker_settings.load(file)
    if file.name.startswith("steward"):
        return node_settings.load_steward(file)
    return node_settings.load(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_shipped_settings_file_is_understood(file: Path) -> None:
    """An operator starts from these; a key that was renamed must not be found out at three in the morning."""
    assert "midshire" == _load(file).federation


def test_there_is_an_example_for_each_program_and_each_agency_of_the_policies() -> None:
    """Control: an empty folder would pass."""
    agencies = sorted(file.stem for file in (ROOT / "policies" / "data" / "agencies").glob("*.json"))
    nodes = [f"node-{agency}" for agency in agencies]

    assert ["broker", *nodes, "steward"] == [file.stem for file in FILES]


@pytest.mark.parametrize("file", [file for file in FILES if file.stem.startswith("node-")], ids=lambda file: file.name)
def test_a_node_s_example_is_for_the_agency_it_is_named_after(file: Path) -> None:
    """Somebody copies one and changes two words; the others must not be another agency's."""
    assert file.stem == f"node-{node_settings.load(file).agency}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_misspelt_key_is_refused(file: Path, tmp_path: Path) -> None:
    """Control: a loader that took anything would prove nothing about these files."""
    copy = tmp_path / file.name
    copy.write_text('fedaration = "midshire"\n' + file.read_text(encoding="utf-8"), encoding="utf-8")

    with pytest.raises((broker_settings.BadSettings, node_settings.BadSettings), match="fedaration"):
        _load(copy)
