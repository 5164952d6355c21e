"""What 1,000 apps that come or change at once cost another app whose load bursts, on a real control plane.

`python -m tests.bench.many_apps [--apps N] [--python PROGRAM]`: PROGRAM is the interpreter of another check-out, whose
operator is measured instead. The apps' pool has no nodes, so only the control plane has work with their servers; the
apps that burst run, with a router in front. Takes some five minutes.
"""

import argparse
import json
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from millpond.local.cluster.embedded import Cluster, NodeSpec

sys.path.append(str(Path(__file__).parents[1]))  # where the tests' own modules are

from e2e.product import GOLD, POOL, Product, elastic_app
from waiting import eventually

CALM_S, BURST_S = 6.0, 9.0
CALM_RPS, BURST_RPS = 10.0, 160.0
AT_S = (4.0, 12.0, 20.0)  # bursts, after the apps began to come or to change
SETTLED_S = 20.0
PATIENCE_S = 900.0
MANY, BY_HAND = "many", "by-hand"
Raw = dict[str, Any]


@dataclass
class Figures:
    """One operator's, in seconds unless said otherwise; ``bursts``: from the burst to the order."""

    product: Product
    bursts: dict[str, list[float]] = field(default_factory=dict)
    rows: list[tuple[str, str]] = field(default_factory=list)

    def row(self, what: str, value: float, unit: str = "s") -> None:
        self.rows.append((what, f"{value:.2f} {unit}"))
        print(f"{what:<66} {value:10.2f} {unit}", flush=True)

    def cycles(self) -> tuple[float, float]:
        """How many, and how long all together."""
        metric = self.product.metric
        return metric("millpond_cycle_seconds_count"), metric("millpond_cycle_seconds_sum")


class Other(Product):
    """The product with the operator of another check-out."""

    python = sys.executable

    def _run(self, name: str, argv: Sequence[str]) -> Any:
        python = self.python if name == "operator" else sys.executable
        return self.cluster.run(name, [python, "-m", "millpond", *argv], {"TMPDIR": str(self.folder)})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--apps", type=int, default=1000)
    options.add_argument("--python", default=sys.executable)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="mp-") as folder:
        os.environ["XDG_STATE_HOME"] = folder  # the user's own clusters are none of our business
        nodes = [NodeSpec("node-1", labels={"millpond.dev/pool": "default"})]
        with Cluster.start(f"bench-{secrets.token_hex(3)}", nodes=nodes, progress=_silent) as cluster:
            cluster.install_chart()
            product = Other(cluster, Path(folder))
            product.python = given.python
            try:
                product.start()
                _measure(Figures(product), given.apps)
            finally:
                product.stop()


def _silent(text: str) -> None:
    pass


def _measure(found: Figures, apps: int) -> None:
    product = found.product
    policy = {**GOLD, "metadata": {"name": MANY}}
    pool = {**POOL, "metadata": {"name": MANY}, "spec": {"nodeSelector": {"millpond.dev/pool": "nowhere"}}}
    product.apply(GOLD, POOL, policy, pool)
    bursts = [f"burst-{n}" for n in range(1 + 2 * len(AT_S))]
    for namespace in (MANY, *bursts):
        product.cluster.kubectl("create", "namespace", namespace)
    product.cluster.kubectl("create", "namespace", BY_HAND)
    product.apply(*(elastic_app(namespace, servers={"min": 1, "max": 4}) for namespace in bursts))
    product.apply(elastic_app(BY_HAND, mode="Manual", replicas=1, servers={"min": 1, "max": 60}, pool=MANY))
    for namespace in bursts:
        product.wait_serving(namespace, 1, timeout_s=90)
    quiet, *others = bursts
    with _scales(found, "nothing else going on", first=2):
        took = _bursts(product, [quiet], [0.0])
    _rows(found, "nothing else going on: burst -> order", took)

    since, began_s = product.audit_lines(), time.monotonic()
    with _cycles(found, f"{apps:,} apps are created"):
        with _beside(lambda: product.apply(*_many(apps))), _scales(found, f"{apps:,} apps are created", 10):
            took = _bursts(product, others[: len(AT_S)], AT_S)
        _rows(found, f"{apps:,} apps are created: burst -> order", took)
        eventually(lambda: _told(product, "300 ms") >= apps, PATIENCE_S, "every app has a status")
    found.row(f"{apps:,} apps are created: until all have their status", time.monotonic() - began_s)
    _quiet(product)
    found.row("writes per app", len(_writes(product, since)) / apps, "")

    since, began_s = product.audit_lines(), time.monotonic()
    changed = {**policy, "spec": {**GOLD["spec"], "goal": {**GOLD["spec"]["goal"], "target": "250ms"}}}
    with _cycles(found, "a policy edit changes the status of all"):
        edit = _beside(lambda: _later(CALM_S, lambda: product.apply(changed)))
        with edit, _scales(found, "a policy edit changes the status of all", 20):
            took = _bursts(product, others[len(AT_S) :], [0.2, 1.0, 3.0])
        _rows(found, "a policy edit changes the status of all: burst -> order", took)
        eventually(lambda: _told(product, "250 ms") >= apps, PATIENCE_S, "every status has changed")
    _quiet(product)
    found.row("writes per app", len(_writes(product, since)) / apps, "")
    _settled(found)


def _many(apps: int) -> Iterator[Raw]:
    for n in range(apps):
        made = elastic_app(MANY, f"app-{n:04}", pool=MANY, sla={"policy": MANY})
        yield made


def _later(seconds: float, work: Any) -> None:
    time.sleep(seconds)
    work()


class _beside:
    """Runs something in a thread for as long as the block lasts, and to its end."""

    def __init__(self, work: Any) -> None:
        self._thread = threading.Thread(target=work)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()


class _scales:
    """Another app is scaled by hand, every other second for as long as the block lasts: from the edit to the order."""

    def __init__(self, found: Figures, what: str, first: int) -> None:
        """``first``: how many servers it is to have first; then one more each time."""
        self._found, self._what, self._next = found, what, first
        self._over, self._thread = threading.Event(), threading.Thread(target=self._scale)

    def __enter__(self) -> None:
        self._since = self._found.product.audit_lines()
        self._thread.start()

    def _scale(self) -> None:
        kubectl = self._found.product.cluster.kubectl
        while not self._over.wait(2.0):
            kubectl("scale", "elasticapp/web", f"--replicas={self._next}", "-n", BY_HAND)
            self._next += 1

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        time.sleep(5.0)
        took_s = _orders_s(self._found.product, self._since)
        self._found.row(f"{self._what}: edit -> order, median of {len(took_s)}", median(took_s))
        self._found.row(f"{self._what}: edit -> order, longest", max(took_s))


class _cycles:
    """How many cycles the block had, and how long they were."""

    def __init__(self, found: Figures, what: str) -> None:
        self._found, self._what = found, what

    def __enter__(self) -> None:
        self._before, self._began_s = self._found.cycles(), time.monotonic()
        self._cpu_s = _process(self._found.product).cpu_times().user

    def __exit__(self, *_: object) -> None:
        (count, total_s), (before, before_s) = self._found.cycles(), self._before
        passed_s, cpu_s = time.monotonic() - self._began_s, _process(self._found.product).cpu_times().user
        self._found.row(f"{self._what}: a cycle, on average", (total_s - before_s) / max(1.0, count - before))
        self._found.row(f"{self._what}: core used", 100 * (cpu_s - self._cpu_s) / passed_s, "%")


def _rows(found: Figures, what: str, took_s: Sequence[float]) -> None:
    for number, seconds in enumerate(took_s):
        found.row(f"{what} ({number + 1})", seconds)


def _bursts(product: Product, namespaces: Sequence[str], at_s: Sequence[float]) -> list[float]:
    """One burst in each, so many seconds from now on (after the calm before it); from the burst to the order."""
    began_s = time.monotonic()
    loads = []
    for namespace, due_s in zip(namespaces, at_s, strict=True):
        time.sleep(max(0.0, began_s + due_s - time.monotonic()))
        loads.append(product.load(f"web.{namespace}.test", (CALM_S, CALM_RPS), (BURST_S, BURST_RPS)))
    for load in loads:
        load.totals()
    started = [json.loads(load.out.read_text().splitlines()[0])["started_at_s"] for load in loads]
    return [_ordered_s(product, n, s + CALM_S) - s - CALM_S for n, s in zip(namespaces, started, strict=True)]


def _ordered_s(product: Product, namespace: str, since_s: float) -> float:
    """When the operator's first order after that moment was written; infinite: never."""
    writes = (w for w in _writes(product, 0, namespace) if w["resource"] == "replicasets")
    return min(
        (w["at_s"] for w in writes if w["verb"] == "patch" and w["at_s"] > since_s), default=float("inf")
    )


def _writes(product: Product, since: int, namespace: str = MANY) -> list[Raw]:
    """The operator's own in one namespace, events left out."""
    assert product.cluster.audit_log is not None
    found = []
    for line in product.cluster.audit_log.read_text().splitlines()[since:]:
        entry = json.loads(line)
        about = entry.get("objectRef", {})
        if about.get("namespace") != namespace or entry["verb"] in ("get", "list", "watch"):
            continue
        ours = "millpond-operator" in entry["user"]["username"] and about.get("resource") != "events"
        if ours and entry["stage"] == "ResponseComplete":
            at_s = datetime.fromisoformat(entry["stageTimestamp"]).timestamp()
            found.append({**about, "verb": entry["verb"], "at_s": at_s})
    return found


def _orders_s(product: Product, since: int) -> list[float]:
    """From each edit of the app that is scaled by hand to the first order after it."""
    assert product.cluster.audit_log is not None
    asked, ordered = [], []
    for line in product.cluster.audit_log.read_text().splitlines()[since:]:
        entry = json.loads(line)
        about = entry.get("objectRef", {})
        if about.get("namespace") == BY_HAND and entry["stage"] == "ResponseComplete":
            at_s = datetime.fromisoformat(entry["stageTimestamp"]).timestamp()
            if about.get("subresource") == "scale":
                asked.append(at_s)
            elif about.get("resource") == "replicasets" and entry["verb"] == "patch":
                ordered.append(at_s)
    return [min((o for o in ordered if o >= a), default=float("inf")) - a for a in asked]


def _told(product: Product, goal: str) -> int:
    """Apps whose status says this goal; asked every other second, since each answer is work for the API server."""
    time.sleep(2.0)
    column = "-o=jsonpath={range .items[*]}{.status.goal}{'\\n'}{end}"
    return product.cluster.kubectl("get", "elasticapps", "-n", MANY, column).count(goal)


def _quiet(product: Product) -> None:
    """Until the operator has written nothing for some seconds."""
    seen = [-1, 0]

    def silent() -> bool:
        now = len(_writes(product, 0))
        seen[1] = seen[1] + 1 if now == seen[0] else 0
        seen[0] = now
        time.sleep(1.0)
        return seen[1] >= 3

    eventually(silent, 300, "the operator is silent")


def _process(product: Product) -> psutil.Process:
    assert product.operator is not None
    return psutil.Process(product.operator.pid)


def _settled(found: Figures) -> None:
    process = _process(found.product)
    before, began_s = process.cpu_times().user, time.monotonic()
    time.sleep(SETTLED_S)
    used = (process.cpu_times().user - before) / (time.monotonic() - began_s)
    found.row("settled: core used", 100 * used, "%")
    found.row("settled: resident memory", process.memory_info().rss / 2**20, "MiB")


if __name__ == "__main__":
    main()
