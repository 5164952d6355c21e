"""What an app gets, row by row."""

from dataclasses import replace

import pytest

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.doubt import Doubt
from millpond_policies.learn.learning import Memory, learn
from millpond_policies.plan import plan
from millpond_policies.reasons import Reason
from millpond_policies.world.actions import CancelStarting
from millpond_policies.world.model import App, Freshness, Mode, ServerState, Snapshot

from policies.building import FOUR_SLOTS, NOW, after_load, app, only, said, sample, server, serving, verdicts

PENDING, STARTING, DRAINING = ServerState.PENDING, ServerState.STARTING, ServerState.DRAINING
NO_GOAL = Goal(kind=GoalKind.DISCRETIONARY)
QUIET = after_load(10, 3)  # one server is enough
BUSY = after_load(52, 2)  # two are needed


def refused(given: App) -> App:
    """The API server makes no more pods for it."""
    return replace(given, editions=tuple(replace(e, refused=True) for e in given.editions))


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        pytest.param(
            app((), Memory(), Freshness.MISSING), "Grow 1 BelowFloor", id="a new app gets its floor"
        ),
        pytest.param(
            app(serving(1), Memory(), Freshness.STALE, min_servers=2),
            "Grow 2 BelowFloor",
            id="the floor is repaired whatever the metrics",
        ),
        pytest.param(
            app(serving(1), Memory(), Freshness.MISSING, min_servers=2, static=True),
            "Grow 2 BelowFloor",
            id="the floor holds in a static pool as well",
        ),
        pytest.param(
            app(serving(1), BUSY), "Grow 2 ForecastAboveCapacity", id="52/s on servers that sustain 36"
        ),
        pytest.param(
            app((*serving(1), server("new", STARTING)), BUSY),
            "Hold StartingServersCount",
            id="a server that starts counts as capacity",
        ),
        pytest.param(
            app((*serving(1), server("new", PENDING)), BUSY, ordered=2),
            "Hold StartingServersCount",
            id="a server without a node counts as well: ordering more would not find room either",
        ),
        pytest.param(app(serving(1), BUSY, max_servers=1), "Hold AtCeiling", id="never above the ceiling"),
        pytest.param(
            refused(app(serving(1), BUSY)), "Hold PodsRefused", id="a quota refuses more: nothing is ordered"
        ),
        pytest.param(
            refused(app(serving(1), BUSY, ordered=2)),
            "Hold PodsRefused",
            id="a quota refuses what is ordered: no more is",
        ),
        pytest.param(
            refused(app((*serving(1), server("leaving", DRAINING)), BUSY)),
            "CancelRetire leaving ForecastAboveCapacity",
            id="a quota refuses more: one that drains may stay nevertheless",
        ),
        pytest.param(
            app((*serving(1), server("leaving", DRAINING)), BUSY),
            "CancelRetire leaving ForecastAboveCapacity",
            id="the load returns: the draining server stays",
        ),
        pytest.param(app(serving(1), Memory()), "Hold NoSamples", id="fresh, but no sample yet"),
        pytest.param(app(serving(3), QUIET), "Retire v1-0 LoadFell", id="a full fresh window needed one"),
        pytest.param(
            app(serving(3), after_load(10, 3, seconds=15)),
            "Hold ShrinkWindowOpen",
            id="the window is not full yet",
        ),
        pytest.param(
            app(serving(3), QUIET, Freshness.STALE), "Hold MetricsStale", id="stale metrics never shrink"
        ),
        pytest.param(
            app(serving(3), QUIET, Freshness.PARTIAL), "Hold MetricsPartial", id="partial ones neither"
        ),
        pytest.param(
            app(serving(3), QUIET, Freshness.MISSING), "Hold MetricsMissing", id="missing ones neither"
        ),
        pytest.param(
            app(serving(1), BUSY, Freshness.STALE),
            "Grow 2 ForecastAboveCapacity",
            id="stale metrics may still grow",
        ),
        pytest.param(app(serving(3), QUIET, min_servers=3), "Hold AtFloor", id="never below the floor"),
        pytest.param(app(serving(1), after_load(10, 1)), "Hold Steady", id="as many as needed"),
        pytest.param(
            app((*serving(3), server("new", STARTING)), QUIET),
            "CancelStarting 3 LoadFell",
            id="servers that do not serve yet are taken back before any is drained",
        ),
        pytest.param(
            app((*serving(2), server("sick", ServerState.UNHEALTHY)), QUIET),
            "Retire sick LoadFell",
            id="a broken server goes before a sound one",
        ),
        pytest.param(
            app((*serving(2), server("leaving", DRAINING)), QUIET),
            "Hold DrainInProgress",
            id="one victim at a time",
        ),
        pytest.param(
            app((*serving(2), server("gone", ServerState.TERMINATING)), QUIET, ordered=2),
            "Hold DrainInProgress",
            id="until it is gone",
        ),
        pytest.param(
            app(
                (
                    server("busy", in_flight=5),
                    server("idle", in_flight=1),
                    server("unknown", in_flight=None),
                ),
                QUIET,
            ),
            "Retire idle LoadFell",
            id="the one with the least to finish",
        ),
        pytest.param(
            app((server("old"), server("young", serving_since_s=NOW - 900.0), server("older")), QUIET),
            "Retire young LoadFell",
            id="the youngest of equals: it holds the fewest sessions",
        ),
        pytest.param(
            app((*serving(2), server("late", created_s=NOW - 5)), QUIET),
            "Hold ShrinkWindowOpen",
            id="a server that was just ordered is not sent back",
        ),
        pytest.param(
            app(serving(3), QUIET, static=True), "Hold StaticPool", id="a static pool is never resized"
        ),
        pytest.param(app(serving(1), BUSY, static=True), "Hold StaticPool", id="in neither direction"),
        pytest.param(app((), BUSY, paused_until_s=NOW + 1), "Hold Paused", id="paused: nothing at all"),
        pytest.param(
            app(serving(1), BUSY, paused_until_s=NOW),
            "Grow 2 ForecastAboveCapacity",
            id="a pause ends by itself",
        ),
        pytest.param(
            app(serving(1), Memory(), Freshness.MISSING, mode=Mode.MANUAL, manual_servers=3),
            "Grow 3 Manual",
            id="Manual grows at once",
        ),
        pytest.param(
            app(serving(3), Memory(), Freshness.MISSING, mode=Mode.MANUAL, manual_servers=1),
            "Retire v1-0 Manual",
            id="Manual gives back one drained server at a time",
        ),
        pytest.param(
            app(serving(3), BUSY, mode=Mode.MANUAL, manual_servers=3),
            "Hold Manual",
            id="Manual does not size",
        ),
        pytest.param(
            app(serving(2), BUSY, mode=Mode.MANUAL, manual_servers=0, min_servers=2),
            "Hold Manual",
            id="the floor is stronger than Manual",
        ),
        pytest.param(
            app(serving(3), BUSY, max_servers=2), "Retire v1-0 AboveCeiling", id="a lowered ceiling is obeyed"
        ),
        pytest.param(
            app(serving(3), BUSY, Freshness.STALE, max_servers=2),
            "Hold MetricsStale",
            id="but not on stale metrics",
        ),
        pytest.param(
            app(serving(1), after_load(52, 1, memory=Memory(start_s=1.5), goal=NO_GOAL), goal=NO_GOAL),
            "Hold Steady",
            id="without a goal nothing is added before a server was seen saturated",
        ),
        pytest.param(
            app(serving(1), after_load(52, 2, goal=NO_GOAL), goal=NO_GOAL),
            "Grow 2 ForecastAboveCapacity",
            id="without a goal servers keep up with the load",
        ),
        pytest.param(
            app(serving(1), replace(BUSY, doubt=Doubt(strikes=2, retry_at_s=NOW + 60))),
            "Hold SLAUnattainable",
            id="servers did not help twice: no more of them",
        ),
        pytest.param(
            app(serving(1), replace(BUSY, doubt=Doubt(strikes=2, retry_at_s=NOW - 1))),
            "Grow 2 ForecastAboveCapacity",
            id="until the time to try again",
        ),
    ],
)
def test_verdict(given: App, verdict: str) -> None:
    assert said(only(given)) == verdict


def test_a_growth_is_explained_in_numbers() -> None:
    because = only(app(serving(1), BUSY, max_servers=2)).because
    inputs = dict(because.inputs)
    assert (because.servers, because.wanted, because.needed, because.limited_by) == (1, 2, 2, None)
    assert inputs["rate_rps"] == 52.0
    assert inputs["per_server_rps"] == pytest.approx(36, abs=1)
    assert inputs["model"] == "station"
    assert inputs["target_ms"] == 300.0
    assert [(r.servers, r.reason) for r in because.refused] == [
        (1, Reason.FORECAST_ABOVE_CAPACITY),
        (3, Reason.AT_CEILING),
    ]


def test_what_the_limit_took_away_is_said() -> None:
    because = only(app(serving(1), after_load(130, 4), max_servers=2)).because
    assert (because.servers, because.wanted, because.needed, because.limited_by) == (
        1,
        2,
        4,
        Reason.AT_CEILING,
    )


def test_only_pending_servers_are_taken_back_while_others_are_not_ready() -> None:
    """A ReplicaSet removes Pending pods first; among the other unready ones it might take one with requests."""
    servers = (
        *serving(2),
        server("sick", ServerState.UNHEALTHY),
        server("a", STARTING),
        server("b", PENDING),
    )
    verdict = only(app(servers, QUIET))
    assert isinstance(verdict, CancelStarting)
    assert verdict.to == 4


def test_a_starting_server_with_requests_is_not_taken_back() -> None:
    servers = (*serving(2), server("known to a router", STARTING, in_flight=1))
    assert said(only(app(servers, QUIET))).startswith("Retire v1-0")


def test_a_server_that_routers_may_know_already_is_not_taken_back_as_if_it_were_starting() -> None:
    servers = (*serving(2), server("just routed", STARTING, reachable=True), server("b", PENDING))
    verdict = only(app(servers, QUIET))
    assert isinstance(verdict, CancelStarting)
    assert verdict.to == 3
    assert said(only(app(servers[:3], QUIET))).startswith("Retire v1-0")


def test_a_sick_server_is_made_up_for_when_the_others_do_not_manage() -> None:
    servers = (*serving(1), server("sick", ServerState.UNHEALTHY))
    assert said(only(app(servers, BUSY))) == "Hold Steady"
    assert said(only(app(servers, replace(BUSY, backlogged=2)))).startswith("Grow 3")


def test_the_most_important_app_comes_first_and_ties_go_by_name() -> None:
    apps = tuple(
        replace(app(serving(1)), key=key, importance=importance)
        for key, importance in (("b/x", 4), ("a/z", 7), ("a/y", 4), ("z/z", 1))
    )
    assert [v.app for v in plan(Snapshot(apps=apps), NOW)] == ["z/z", "a/y", "b/x", "a/z"]


def test_an_app_without_its_edition_is_held() -> None:
    assert said(only(app(serving(1), editions=()))) == "Hold NoSamples"


def test_a_true_zero_shrinks_to_the_floor() -> None:
    idle = after_load(0, 3, memory=Memory())
    assert said(only(app(serving(3), idle))) == "Retire v1-0 LoadFell"


def test_a_gap_in_the_samples_opens_the_window_again() -> None:
    memory = learn(after_load(10, 3), sample(NOW + 20, 10, 3), app(()).goal)
    assert [said(v) for v in verdicts(app(serving(3), memory), NOW + 20)] == ["Hold ShrinkWindowOpen"]


def test_the_plan_forgets_nothing_of_what_was_persisted() -> None:
    restarted = Memory.from_dict(FOUR_SLOTS.to_dict())
    memory = after_load(52, 2, seconds=3, memory=restarted)
    assert said(only(app(serving(1), memory))) == "Grow 2 ForecastAboveCapacity"
