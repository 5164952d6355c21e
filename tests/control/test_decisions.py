import json
from dataclasses import replace
from typing import Any

import pytest

from millpond.control.report.decisions import KEPT, as_text, entry, recalled, record
from millpond_policies.reasons import Reason
from millpond_policies.world.actions import Because, Grow, Hold, Refused, Retire, Verdict

T0 = 1_700_000_000.0
STEADY = Because(reason=Reason.STEADY, servers=2, wanted=2, needed=2, inputs=(("rate_rps", 41.234),))
HOLD = Hold(app="shop/web", edition="v1", because=STEADY)
GROW = Grow(
    app="shop/web",
    edition="v1",
    to=4,
    because=Because(
        reason=Reason.FORECAST_ABOVE_CAPACITY,
        servers=2,
        wanted=4,
        needed=6,
        limited_by=Reason.AT_CEILING,
        inputs=(("rate_rps", 82.4567), ("in_flight", 7), ("cpu_cores", None)),
        refused=(Refused(servers=6, reason=Reason.ABOVE_CEILING),),
    ),
)


def _retire(name: str) -> Retire:
    because = Because(reason=Reason.LOAD_FELL, servers=4, wanted=1)
    return Retire(app="shop/web", edition="v1", uid=f"uid-{name}", name=name, because=because)


@pytest.mark.parametrize(
    ("first", "then", "entries"),
    [
        pytest.param(HOLD, HOLD, 1, id="the same hold again: nothing to say"),
        pytest.param(
            HOLD,
            replace(HOLD, because=replace(STEADY, inputs=(("rate_rps", 47.0),))),
            1,
            id="only the figures moved: nothing to say",
        ),
        pytest.param(
            HOLD,
            replace(HOLD, because=replace(STEADY, reason=Reason.METRICS_STALE)),
            2,
            id="a hold for another reason is recorded",
        ),
        pytest.param(HOLD, GROW, 2, id="an action after a hold is recorded"),
        pytest.param(GROW, GROW, 1, id="an action that is still being carried out is recorded once"),
        pytest.param(_retire("a"), _retire("b"), 2, id="each victim is recorded by name"),
        pytest.param(HOLD, replace(HOLD, edition="v2"), 2, id="each edition has decisions of its own"),
    ],
)
def test_what_is_news(first: Verdict, then: Verdict, entries: int) -> None:
    assert len(record(record([], first, T0), then, T0 + 1)) == entries


def _written(verdict: Verdict, at_s: float) -> str:
    return json.dumps(entry(verdict, at_s))


def test_what_was_carried_out_right_before_a_crash_is_recorded_afterwards_once() -> None:
    before, written = record([], HOLD, T0), [_written(_retire("a"), T0 + 3), _written(GROW, T0 + 2)]
    after = recalled(before, written)
    assert [d["action"] for d in after] == ["Retire", "Grow", "Hold"]
    assert after[1]["inputs"] == entry(GROW, T0)["inputs"]
    assert recalled(after, written) == after
    assert recalled(record(after, HOLD, T0 + 60), written)[1:] == after


def test_a_decision_that_was_recorded_in_its_own_cycle_is_not_recalled_although_it_was_written_later() -> (
    None
):
    recorded = record([], GROW, T0)
    assert recalled(recorded, [_written(GROW, T0 + 2)]) == recorded


def test_what_somebody_else_wrote_in_the_place_of_a_decision_is_left_out() -> None:
    assert recalled([], ["", "no JSON", "[]", '{"at": 3}', '{"at": "2026-01-01T00:00:00Z"}']) == []


def test_an_edition_between_does_not_make_the_same_verdict_news() -> None:
    once = record(record([], HOLD, T0), replace(HOLD, edition="v2"), T0)
    assert record(once, HOLD, T0 + 1) == once


def test_newest_first_and_at_most_twenty() -> None:
    decisions: list[dict[str, Any]] = []
    for n in range(30):
        decisions = record(decisions, replace(GROW, to=n + 3), T0 + n)
    assert len(decisions) == KEPT
    assert decisions[0]["message"] == "order 30 more: 2 → 32 servers"


def test_an_entry_has_the_shape_of_the_custom_resource() -> None:
    assert record([], GROW, T0) == [
        {
            "at": "2023-11-14T22:13:20Z",
            "edition": "v1",
            "action": "Grow",
            "reason": "ForecastAboveCapacity",
            "servers": 2,
            "wanted": 4,
            "needed": 6,
            "limitedBy": "AtCeiling",
            "inputs": {"rate_rps": "82.46", "in_flight": "7", "cpu_cores": "unknown"},
            "refused": [{"servers": 6, "reason": "AboveCeiling"}],
            "message": "order 2 more: 2 → 4 servers",
        }
    ]


def test_as_text_tells_reason_limit_inputs_and_refused_options() -> None:
    assert as_text(record([], GROW, T0)[0]).splitlines() == [
        "2023-11-14T22:13:20Z  Grow  order 2 more: 2 → 4 servers",
        "    because   ForecastAboveCapacity (needed 6, wanted 4, ordered 2)",
        "    limit     AtCeiling",
        "    inputs    cpu_cores=unknown, in_flight=7, rate_rps=82.46",
        "    refused   6 servers: AboveCeiling",
    ]
