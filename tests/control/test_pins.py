"""Whom an edition's cookie brings back, at each point of a rollout; and what the cookie is called."""

from dataclasses import replace
from typing import Any

import pytest

from millpond.control.resolve.candidates import ValidApp
from millpond.control.resolve.claims import NEVER_S, Claim, Granted
from millpond.control.routing.routes import edition_cookies
from millpond.router.config import EDITION_COOKIE, Pins

from kube.builders import POD, app, app_routes, edition, holdings

OLD, NEW = "v1", "v2"
STARTED_S = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def rollout(phase: str, step: int = 0, weight: int = 0, reason: str = "NewEdition") -> dict[str, Any]:
    at = "2027-01-15T08:00:00Z"
    return {
        "edition": NEW, "from": OLD, "strategy": "Canary", "phase": phase, "step": step, "weight": weight, "servers": 1,
        "startedAt": at, "stepAt": at, "reason": reason,
    }  # fmt: skip


def pins(
    told: dict[str, Any] | None,
    *,
    affinity: bool,
    served_before: bool = False,
    states: tuple[str, str] = ("Active", ""),
) -> dict[str, tuple[int, Pins]]:
    """Of each edition its weight and whom its cookie brings back."""
    candidate = app(edition=NEW, **({"affinity": {"cookie": "S"}} if affinity else {}))
    candidate = replace(candidate, raw={**candidate.raw, "status": {"rollout": told} if told else {}})
    gate_s = STARTED_S - 1 if served_before else STARTED_S + 1
    pods = [
        replace(POD, edition=OLD, address="127.9.0.1", gate_since_s=STARTED_S - 100),
        replace(POD, edition=NEW, address="127.9.0.2", gate_since_s=gate_s),
    ]
    held = holdings(*pods, **{n: edition(n, s or None) for n, s in zip((OLD, NEW), states, strict=True)})
    routes = app_routes(candidate, held)
    assert routes is not None
    return {e.name: (e.weight, e.lets_in) for e in routes.editions}


@pytest.mark.parametrize(
    ("told", "affinity", "new", "old"),
    [
        pytest.param(None, True, (0, Pins.BOUND), (100, Pins.ALL), id="an edition whose rollout has not begun"),
        pytest.param(None, False, (0, Pins.NONE), (100, Pins.ALL), id="the same without affinity"),
        pytest.param(
            rollout("Validating"), True, (0, Pins.NONE), (100, Pins.ALL), id="an edition that nobody was let in upon"
        ),
        pytest.param(rollout("Waiting"), False, (0, Pins.NONE), (100, Pins.ALL), id="nor while it waits"),
        pytest.param(
            rollout("Progressing", 1, 30), True, (30, Pins.ALL), (70, Pins.ALL), id="both that share new sessions"
        ),
        pytest.param(
            rollout("Progressing", 1, 0), True, (0, Pins.BOUND), (100, Pins.ALL), id="a step by header: bound sessions"
        ),
        pytest.param(
            rollout("Progressing", 1, 0), False, (0, Pins.NONE), (100, Pins.ALL), id="a step by header without affinity"
        ),
        pytest.param(
            rollout("Progressing", 2, 100), True, (100, Pins.ALL), (0, Pins.BOUND), id="the old one keeps its sessions"
        ),
        pytest.param(
            rollout("Progressing", 2, 100), False, (100, Pins.ALL), (0, Pins.ALL), id="and its users without affinity"
        ),
        pytest.param(
            rollout("Completed", 2, 100), True, (100, Pins.ALL), (0, Pins.BOUND), id="until they have drained"
        ),
        pytest.param(
            rollout("Completed", 2, 100), False, (100, Pins.ALL), (0, Pins.ALL), id="the same without affinity, after"
        ),
        pytest.param(
            rollout("RollingBack", 1, 0, "EditionErrors"), True, (0, Pins.NONE), (100, Pins.ALL),
            id="one that is taken back for errors keeps nobody",
        ),
        pytest.param(
            rollout("RollingBack", 1, 0, "EditionDown"), False, (0, Pins.NONE), (100, Pins.ALL),
            id="nor one whose servers died",
        ),
        pytest.param(
            rollout("RollingBack", 2, 40, "EditionErrors"), True, (40, Pins.NONE), (60, Pins.ALL),
            id="not even while it has to take new ones",
        ),
        pytest.param(
            rollout("RolledBack", 1, 0, "EditionErrors"), True, (0, Pins.NONE), (100, Pins.ALL),
            id="nor once it was taken back",
        ),
        pytest.param(
            rollout("RollingBack", 1, 0, "EditionSlow"), True, (0, Pins.BOUND), (100, Pins.ALL),
            id="one that is too slow keeps its sessions",
        ),
        pytest.param(
            rollout("Aborted", 1, 0, "Aborted"), True, (0, Pins.BOUND), (100, Pins.ALL),
            id="so does one that somebody takes back",
        ),
    ],
)  # fmt: skip
def test_whom_an_edition_cookie_brings_back(
    told: dict[str, Any] | None, affinity: bool, new: tuple[int, Pins], old: tuple[int, Pins]
) -> None:
    assert pins(told, affinity=affinity) == {OLD: old, NEW: new}


def test_an_edition_that_one_goes_back_to_keeps_the_sessions_that_it_still_has() -> None:
    found = pins(rollout("Validating"), affinity=True, served_before=True)
    assert found[NEW] == (0, Pins.BOUND)


def test_whatever_the_phase_and_reason_no_edition_without_weight_lets_everybody_in_but_one_that_drains() -> (
    None
):
    for phase in ("Waiting", "Validating", "Progressing", "Paused", "RollingBack", "RolledBack", "Aborted"):
        for reason in ("NewEdition", "EditionErrors", "EditionDown", "EditionSlow", "Aborted", "Superseded"):
            for step in (0, 1):
                with_affinity = pins(rollout(phase, step, 0, reason), affinity=True)
                assert with_affinity[NEW][1] is not Pins.ALL, (phase, reason, step)


HOST = "cart.test"


def _app(record: Granted, *, crowded: bool) -> ValidApp:
    return replace(app(), claims={Claim(HOST): record}, crowded=frozenset({HOST}) if crowded else frozenset())


OWN = f"{EDITION_COOKIE}-7272c49c"


@pytest.mark.parametrize(
    ("record", "crowded", "names"),
    [
        pytest.param(Granted(since_s=1.0), False, (EDITION_COOKIE,), id="alone: the usual name"),
        pytest.param(
            Granted(since_s=1.0, shared_since_s=5.0), True, (OWN, EDITION_COOKIE),
            id="shared, but alone before: its own, and the usual one is believed",
        ),
        pytest.param(
            Granted(since_s=1.0, shared_since_s=NEVER_S), True, (OWN, EDITION_COOKIE), id="shared since a moment ago"
        ),
        pytest.param(Granted(since_s=5.0, shared_since_s=5.0), True, (OWN,), id="never alone there: its own alone"),
        pytest.param(
            Granted(since_s=NEVER_S, shared_since_s=NEVER_S), True, (OWN,), id="just granted on a shared host"
        ),
        pytest.param(
            Granted(since_s=1.0, shared_since_s=5.0), False, (EDITION_COOKIE, OWN),
            id="alone again: the usual one, and its own is believed",
        ),
    ],
)  # fmt: skip
def test_what_the_edition_cookie_is_called(record: Granted, crowded: bool, names: tuple[str, ...]) -> None:
    assert edition_cookies(_app(record, crowded=crowded), HOST) == names


@pytest.mark.parametrize(
    ("ready", "weight", "shares"),
    [
        pytest.param({OLD, NEW}, 10, (90, 10), id="both as declared"),
        pytest.param({NEW}, 10, (0, 100), id="all to the new one while the old one has no server"),
        pytest.param({OLD}, 10, (100, 0), id="all to the old one while the new one has none"),
        pytest.param(set(), 10, (90, 10), id="as declared while nobody has one"),
        pytest.param({NEW}, 0, (100, 0), id="nobody to an edition that was not let in upon users"),
    ],
)
def test_a_share_goes_to_an_edition_that_has_a_server_for_it(
    ready: set[str], weight: int, shares: tuple[int, int]
) -> None:
    told = rollout("Progressing", 1, weight) if weight else rollout("Validating")
    candidate = app(edition=NEW)
    candidate = replace(candidate, raw={**candidate.raw, "status": {"rollout": told}})
    pods = [
        replace(POD, edition=name, address=f"127.9.0.{number}", containers_ready=name in ready)
        for number, name in enumerate((OLD, NEW), 1)
    ]
    held = holdings(*pods, **{n: edition(n, s) for n, s in ((OLD, "Active"), (NEW, "Validating"))})
    routes = app_routes(candidate, held)
    assert routes is not None
    assert tuple(e.weight for e in routes.editions) == shares
