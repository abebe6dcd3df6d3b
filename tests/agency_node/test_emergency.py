"""An emergency as it is typed, and what of the supervisor leaves the agency."""

from typing import Any, Final

import pytest

from agency_node.cli.people import EMERGENCIES, BadInput, inquiry
from agency_node.staff import StaffTokenRefused, check, pseudonym, supervisor
from tests.agency_node.test_staff import LOGIN, NOW_S, PROVIDER, SECRET

TYPED: Final[dict[str, Any]] = {
    "question": "agency.contact",
    "purpose": "emergency",
    "case": "CF-1",
    "people": [{"first_name": "Rory", "last_name": "Fenwright", "date_of_birth": "2017-06-21", "role": "child"}],
    "emergency": "risk_to_life",
    "supervisor": "manager-1",
}


@pytest.mark.parametrize("ground", EMERGENCIES)
def test_an_emergency_states_harm_and_necessity_with_its_reason(ground: str) -> None:
    """LAW-20: whoever has to be quick says what the emergency is and whom they told, and nothing twice."""
    found, _ = inquiry({**TYPED, "emergency": ground})
    said = found.assertions

    assert (ground, True, "make_safe", "risk_outweighs", "n_a") == (
        said.break_glass_ground,
        said.significant_harm_asserted,
        said.necessity_code,
        said.proportionality_code,
        said.told_state,
    )
    assert "manager-1" == found.supervisor
    assert "manager-1" not in repr(found)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"emergency": ""}, "emergency"),
        ({"emergency": "in_a_hurry"}, "emergency"),
        ({"emergency": 7}, "emergency"),
        ({"purpose": "s47_enquiry"}, "emergency"),
        ({"purpose": "s47_enquiry", "emergency": ""}, "supervisor"),
        ({"supervisor": ""}, "supervisor"),
        ({"supervisor": " "}, "supervisor"),
        ({"supervisor": ["manager-1"]}, "supervisor"),
        ({"supervisor": "m" * 257}, "supervisor"),
    ],
)
def test_an_emergency_is_said_in_full_or_not_at_all(change: dict[str, Any], field: str) -> None:
    """LAW-20: reason, supervisor and purpose belong together; the mistake is named before anything is asked."""
    with pytest.raises(BadInput) as refused:
        inquiry({**TYPED, **change})

    assert field == refused.value.field


def test_only_a_pseudonym_of_the_supervisor_leaves() -> None:
    """T-PRV-6: the same one that the supervisor's own sign-in has, so that nobody can be their own supervisor."""
    asker = check(LOGIN.token("pc-7", "practitioner", now_s=NOW_S), PROVIDER, SECRET, NOW_S)

    assert pseudonym(SECRET, PROVIDER.issuer, "pc-9") == supervisor(asker, " pc-9 ", PROVIDER, SECRET, NOW_S)
    assert asker.user == supervisor(asker, "pc-7", PROVIDER, SECRET, NOW_S)
    assert "" == supervisor(asker, " ", PROVIDER, SECRET, NOW_S)


def test_the_sign_in_of_an_emergency_is_looked_at_before_anything_leaves() -> None:
    """T-SEC-2: fifteen minutes, at the asker's own agency already."""
    old = check(LOGIN.token("pc-7", "practitioner", now_s=NOW_S, signed_in_s_ago=901), PROVIDER, SECRET, NOW_S)

    with pytest.raises(StaffTokenRefused, match="last 15 minutes"):
        supervisor(old, "pc-9", PROVIDER, SECRET, NOW_S)
