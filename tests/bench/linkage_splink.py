"""The same sets through Splink (https://moj-analytical-services.github.io/splink/), which sees all in clear text.

Fields are normalised as ours are. Comparisons and training are those of Splink's own example for FEBRL 4, without the
national number, which is left out everywhere here: names by NameComparison, birth date by DateOfBirthComparison, house
number by ExactMatch and postcode by DamerauLevenshteinAtThresholds; u from random pairs, m by expectation and
maximisation in two blocks. The second line compares every address field that a set has.
"""

import csv
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agency_node.evaluate import Quality
from agency_node.labelled import Labelled
from agency_node.scoring import PROBABLE

SEED: Final = 1
RANDOM_PAIRS: Final = 2_000_000
ALL_OF_FEBRL: Final = ("address_2", "suburb", "state")
"""Fields of FEBRL that ours has no place for."""


def splink(
    left: Sequence[Labelled],
    right: Sequence[Labelled],
    whole_address: bool,
    extra: Mapping[str, tuple[Path, Path]] | None = None,
) -> Quality:
    """Who is found, as ours is counted: the best candidate, if its probability is 0.95 or more.

    Args:
        left: Records held.
        right: Who is asked about.
        whole_address: Compare the street too.
        extra: Further columns of the two files to compare, by name.
    """
    import pandas
    import splink.comparison_library as compare
    from splink import Linker, SettingsCreator, block_on
    from splink.internals.duckdb.database_api import DuckDBAPI

    frames = [pandas.DataFrame(_rows(side, number, extra or {})) for number, side in enumerate((left, right))]
    has = [name for name in frames[0].columns if frames[0][name].notna().any() and frames[1][name].notna().any()]
    comparisons: list[Any] = [
        compare.NameComparison("first"),
        compare.NameComparison("last"),
        compare.DateOfBirthComparison("dob", input_is_string=True, datetime_format="%Y%m%d"),
    ]
    exact = {name: compare.ExactMatch(name) for name in ("sex", "middle") if name in has}
    comparisons += exact.values()
    if "number" in has:
        comparisons.append(compare.ExactMatch("number").configure(term_frequency_adjustments=True))
    if "postcode" in has:
        postcode = compare.DamerauLevenshteinAtThresholds("postcode", [1, 2])
        comparisons.append(postcode.configure(term_frequency_adjustments=True))
    if whole_address and "street" in has:
        comparisons += [compare.JaroWinklerAtThresholds(name, [0.9, 0.7]) for name in ("street", *(extra or {}))]
    rules = [["first", "last"], ["dob"], ["dob", "first"], ["number", "street"], ["postcode", "first"]]
    rules += [["postcode", "last"], ["last", "middle", "sex"]]
    usable = [block_on(*rule) for rule in rules if set(rule) <= {*has}]
    settings = SettingsCreator(
        link_type="link_only",
        unique_id_column_name="row",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=usable,
        retain_intermediate_calculation_columns=False,
    )
    api = DuckDBAPI()
    linker = Linker([api.register(frame) for frame in frames], settings)
    linker.training.estimate_probability_two_random_records_match([block_on("first", "last", "dob")], recall=0.7)
    linker.training.estimate_u_using_random_sampling(max_pairs=RANDOM_PAIRS, seed=SEED)
    for block in (block_on("dob"), block_on("first", "last")):
        linker.training.estimate_parameters_using_expectation_maximisation(block)
    found = linker.inference.predict(threshold_match_probability=0.5).as_pandas_dataframe()
    return _quality(left, right, found)


def _rows(side: Sequence[Labelled], number: int, extra: Mapping[str, tuple[Path, Path]]) -> list[dict[str, Any]]:
    more: list[dict[str, str]] = [{} for _ in side]
    for name, files in extra.items():
        with files[number].open(encoding="utf-8", newline="") as file:
            for row, raw in zip(more, csv.DictReader(file), strict=True):
                row[name] = raw[name].strip().lower()
    rows = []
    for one, others in zip(side, more, strict=True):
        said = one.row.described().description
        fields = {"first": said.first, "last": said.last, "middle": said.middle[:1], "dob": _real(said.dob)}
        fields |= {"sex": said.sex, "number": said.number, "street": said.street, "postcode": said.postcode}
        rows.append({"row": one.row.person_id} | {name: text or None for name, text in (fields | others).items()})
    return rows


def _real(dob: str) -> str:
    """A date of the calendar, which is all that Splink takes."""
    try:
        datetime.date.fromisoformat(dob)
    except ValueError:
        return ""
    return dob


def _quality(left: Sequence[Labelled], right: Sequence[Labelled], found: Any) -> Quality:
    truth = [{one.row.person_id: one.truth for one in side} for side in (left, right)]
    best: dict[str, tuple[float, str]] = {}
    for held, asked, sure in zip(found["row_l"], found["row_r"], found["match_probability"], strict=True):
        if sure >= PROBABLE:
            best[str(asked)] = max(best.get(str(asked), (0.0, "")), (float(sure), str(held)))
    right_ones = sum(truth[0][held] == truth[1][asked] for asked, (_, held) in best.items())
    known = {*truth[0].values()}
    return Quality(right_ones, len(best) - right_ones, sum(one.truth in known for one in right))
