"""What learning and sizing cost, and how well they size: synthetic loads, and a real trace when it is at hand."""

import csv
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from millpond_policies.plan import plan
from millpond_policies.world.model import App, EditionView, Freshness, Snapshot

from tests.bench.figures import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))
from millpond_policies.learn.learning import learn

from policies.building import GOAL, NOW, after_load, sample, serving
from policies.fluid import SUSTAINED_RPS, Fluid

APPS, SERVERS_EACH = 1000, 5
TRACES = Path(os.environ.get("MILLPOND_TRACES", Path(__file__).parents[3] / "shared" / "traces"))
TRACE, TRACE_PEAK_SERVERS = "autothrottle_bursty_1h_1s.csv", 40


def figures() -> Iterator[Figure]:
    yield _one_app()
    yield _many_apps()
    day = _sized("a day in two hours", lambda t: 60 + 50 * math.sin(t / 1150), 7200)
    yield from day
    yield from _sized("a step of 4 servers every half hour", lambda t: 40 + 60 * (t // 1800 % 2), 7200)
    path = TRACES / TRACE
    if not path.exists():
        print(f"no {TRACE} in {TRACES}: the trace is left out (MILLPOND_TRACES names another folder)")
        return
    rates = _trace(path)
    yield from _sized(
        f"{path.stem}, scaled to {TRACE_PEAK_SERVERS} servers at its peak", _at(rates), len(rates)
    )


def _one_app() -> Figure:
    memory = after_load(100, 3, seconds=300)
    app = _app("shop/web", 0)
    rounds = 2000
    began = time.process_time()
    for i in range(rounds):
        memory = learn(memory, sample(NOW + 1 + i, 100, 3), GOAL)
        view = EditionView(name="v1", ordered=3, memory=memory, freshness=Freshness.FRESH)
        plan(Snapshot(apps=(replace(app, editions=(view,)),)), NOW + 1 + i)
    reached = (time.process_time() - began) / rounds * 1e6
    return Figure(what="learn and size one app, CPU", goal=500, reached=reached, unit="µs")


def _many_apps() -> Figure:
    snapshot = Snapshot(apps=tuple(_app(f"shop/web-{i}", i) for i in range(APPS)))
    began = time.process_time()
    plan(snapshot, NOW)
    reached = time.process_time() - began
    return Figure(
        what=f"plan {APPS} apps with {APPS * SERVERS_EACH} servers, CPU", goal=1, reached=reached, unit="s"
    )


def _app(key: str, i: int) -> App:
    memory = after_load(10 + i % 150, SERVERS_EACH, seconds=20)
    view = EditionView(name="v1", ordered=SERVERS_EACH, memory=memory, freshness=Freshness.FRESH)
    return App(
        key=key,
        edition="v1",
        active="v1",
        goal=GOAL,
        min_servers=1,
        max_servers=20,
        editions=(view,),
        servers=serving(SERVERS_EACH),
    )


def _sized(what: str, load: Callable[[int], float], seconds: int) -> Iterator[Figure]:
    servers = max(1, math.ceil(load(0) / SUSTAINED_RPS))
    result = Fluid(load).run(seconds, servers)
    yield Figure(what=f"{what}: server-hours ÷ oracle's", goal=1.3, reached=result.cost, unit="x")
    yield Figure(what=f"{what}: requests in missed windows", goal=2, reached=result.missed_percent, unit="%")
    changes = result.changes / seconds * 3600
    yield Figure(what=f"{what}: changes an hour", goal=60, reached=changes, unit="")


def _trace(path: Path) -> list[float]:
    with path.open() as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))
    rates = [float(row[1]) for row in rows if row and row[0].replace(".", "", 1).isdigit()]
    scale = TRACE_PEAK_SERVERS * SUSTAINED_RPS / max(rates)
    return [rate * scale for rate in rates]


def _at(rates: list[float]) -> Callable[[int], float]:
    return lambda t: rates[min(t, len(rates) - 1)]
