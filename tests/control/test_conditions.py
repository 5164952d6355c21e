from typing import Any

import pytest

from millpond.control.report.conditions import condition, with_condition
from millpond_policies.reasons import Reason

T0, T1 = 1_700_000_000.0, 1_700_000_060.0
READY: list[dict[str, Any]] = with_condition([], "Ready", True, Reason.AS_EXPECTED, "2 of 2", 1, T0)


def test_a_condition_that_did_not_change_equals_what_was_there() -> None:
    assert with_condition(READY, "Ready", True, Reason.AS_EXPECTED, "2 of 2", 1, T1) == READY


@pytest.mark.parametrize(
    ("status", "since"),
    [
        pytest.param(
            True, "2023-11-14T22:13:20Z", id="same status, other message: the transition time stays"
        ),
        pytest.param(False, "2023-11-14T22:14:20Z", id="other status: the transition is now"),
        pytest.param(None, "2023-11-14T22:14:20Z", id="unknown is a status of its own"),
    ],
)
def test_transition_time(status: bool | None, since: str) -> None:
    after = with_condition(READY, "Ready", status, Reason.SERVERS_STARTING, "1 of 2", 2, T1)
    found = condition(after, "Ready")
    assert found is not None
    assert found["lastTransitionTime"] == since
    assert found["reason"] == "ServersStarting"
    assert found["observedGeneration"] == 2


def test_others_keep_their_place_and_the_given_list_is_left_alone() -> None:
    two = with_condition(READY, "Paused", False, Reason.NOT_PAUSED, "", 1, T0)
    after = with_condition(two, "Ready", False, Reason.NO_SERVER_READY, "", 1, T1)
    assert [c["type"] for c in after] == ["Ready", "Paused"]
    assert two[0]["status"] == "True"
    assert condition(after, "SLAMet") is None
