"""Editions swap without a moment of less capacity."""

from dataclasses import replace

import pytest

from millpond_policies.learning import Memory
from millpond_policies.model import App, EditionView, Freshness, Mode, Server, ServerState

from policies.building import NOW, after_load, app, said, server, serving, verdicts

FRESH, MISSING, STALE, PARTIAL = Freshness.FRESH, Freshness.MISSING, Freshness.STALE, Freshness.PARTIAL
LOAD = after_load(52, 2)


def swap(
    old: tuple[Server, ...],
    new: tuple[Server, ...],
    of_old: Freshness = FRESH,
    of_new: Freshness = FRESH,
    **changes: object,
) -> App:
    """From v1, which carries 52 requests a second, to v2."""
    editions = (
        EditionView(name="v1", ordered=len(old), memory=LOAD, freshness=of_old),
        EditionView(name="v2", ordered=len(new), memory=Memory(start_s=1.5), freshness=of_new),
    )
    known = app((*old, *new), edition="v2", editions=editions)
    return replace(known, **changes)  # type: ignore[arg-type]


V2_STARTING = server("v2-1", ServerState.STARTING, edition="v2")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            swap(serving(2), ()), ["Grow 2 EditionSwap"], id="the new edition gets what the old one has"
        ),
        pytest.param(
            swap(serving(2), (*serving(1, "v2"), V2_STARTING)),
            ["Hold StartingServersCount"],
            id="nothing is given up while the new edition starts",
        ),
        pytest.param(
            swap(serving(2), serving(2, "v2")),
            ["Retire v1-0 EditionSwap"],
            id="then the old one gives up a server",
        ),
        pytest.param(
            swap((*serving(1), server("leaving", ServerState.DRAINING)), serving(2, "v2")),
            ["Hold DrainInProgress"],
            id="one at a time",
        ),
        pytest.param(swap(serving(1), serving(2, "v2")), ["Retire v1-0 EditionSwap"], id="down to the last"),
        pytest.param(
            swap(serving(2), serving(2, "v2"), of_old=STALE),
            ["Hold Steady"],
            id="stale metrics promote nothing",
        ),
        pytest.param(
            swap(serving(2), serving(2, "v2"), of_new=PARTIAL),
            ["Hold MetricsPartial"],
            id="partial ones neither",
        ),
        pytest.param(
            swap(serving(2), serving(2, "v2"), of_old=MISSING, of_new=MISSING),
            ["Hold MetricsMissing"],
            id="missing ones neither",
        ),
        pytest.param(
            swap(serving(2), serving(1, "v2"), paused_until_s=NOW + 60),
            ["Hold Paused"],
            id="a pause stops a swap",
        ),
        pytest.param(
            swap(serving(1), serving(1, "v2"), mode=Mode.MANUAL, manual_servers=3, of_old=STALE),
            ["Grow 3 EditionSwap"],
            id="in Manual mode the new edition gets the manual count",
        ),
        pytest.param(
            swap(serving(12), (), max_servers=3),
            ["Grow 3 EditionSwap"],
            id="the new edition stays below its ceiling",
        ),
    ],
)
def test_verdicts(given: App, expected: list[str]) -> None:
    assert [said(v) for v in verdicts(given)] == expected


def test_a_swap_ends_with_the_new_edition_alone_and_never_with_less_capacity() -> None:
    given = swap(serving(2), ())
    floor = 2
    for _ in range(20):
        for verdict in verdicts(given):
            given = _obeyed(given, said(verdict).split())
        ready = [s for s in given.servers if s.state is ServerState.SERVING]
        assert len(ready) >= floor
    assert {s.edition for s in given.servers} == {"v2"}
    assert len(given.servers) == 2


def _obeyed(given: App, words: list[str]) -> App:
    match words:
        case ["Grow", to, _]:
            grown = tuple(server(f"new-{i}", edition="v2") for i in range(int(to)))
            editions = tuple(replace(e, ordered=int(to)) if e.name == "v2" else e for e in given.editions)
            return replace(given, editions=editions, servers=(*given.servers, *grown))
        case ["Retire", name, _]:
            left = tuple(s for s in given.servers if s.name != name)
            editions = tuple(
                replace(e, ordered=e.ordered - 1) if e.name == "v1" else e for e in given.editions
            )
            return replace(given, editions=editions, servers=left)
    return given
