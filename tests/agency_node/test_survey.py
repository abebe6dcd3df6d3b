"""What one reading of everybody gathers: exact counts, and a sample that does not depend on the order."""

from dataclasses import replace
from random import Random

from accord.identity import Description, describe
from agency_node.scoring import statistics
from agency_node.survey import Survey, keyed

KEY = b"k" * 32


def person(number: int) -> Description:
    return describe(
        first_name=["Jamie", "Anne", "Omar"][number % 3],
        last_name=f"Calloway{chr(97 + number % 26)}",
        date_of_birth=f"{1950 + number % 60}-{1 + number % 12:02}-{1 + number % 28:02}",
        postcode=f"MD{1 + number % 9} {number % 10}Q{chr(65 + number % 26)}",
    )


def surveyed(numbers: list[int]) -> Survey:
    survey = Survey(KEY)
    for number in numbers:
        survey.add(f"p{number}", person(number), ())
    return survey


def test_frequencies_are_those_of_everybody() -> None:
    """T-LNK-3: how common a name is decides how much it weighs; the sample only bounds what is held in memory."""
    people = [person(number) for number in range(200)]

    expected = statistics(people, 1, KEY)
    found = surveyed(list(range(200))).statistics()

    assert (expected.people, expected.counts, expected.totals) == (found.people, found.counts, found.totals)


def test_order_and_interruption_change_nothing() -> None:
    """T-OPS-6: a resumed job, which meets people in another order perhaps, ends with the same statistics."""
    numbers = list(range(200))
    before = surveyed(numbers)
    Random(7).shuffle(numbers)
    after = surveyed(numbers)

    assert before.statistics().to_json() == after.statistics().to_json()
    assert before.figures() == after.figures()


def test_a_person_read_twice_is_no_mistake_of_the_sample() -> None:
    """Two rows with one number are found by the index; until then they must not trip the sample."""
    survey = surveyed([1, 1])

    assert 2 == survey.people


def test_unreadable_fields_are_counted() -> None:
    """The operator mends the mapping from counts."""
    survey = Survey(KEY)
    survey.add("p1", person(1), ("postcode",))
    survey.add("p2", replace(person(2), postcode=""), ("postcode", "nhs_number"))

    assert {"postcode": 2, "nhs_number": 1} == survey.unreadable


def test_hashes_of_other_keys_and_parts_differ() -> None:
    """What is kept of a value is keyed, and parts cannot slide into each other."""
    made = {keyed(KEY, b"a", b"bc"), keyed(KEY, b"ab", b"c"), keyed(b"x" * 32, b"a", b"bc")}

    assert 3 == len(made)
    assert {16} == {len(one) for one in made}
