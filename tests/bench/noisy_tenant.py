"""What a noisy tenant costs the others: a cycle's time, and how soon another app's order is written."""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from millpond.api.names import RETIRE_ANNOTATION
from millpond.control.guard.each import PATIENCE_S
from millpond.control.observe.objects import DECISION_ANNOTATION

from tests.bench.figures import Figure
from tests.kube.tenants import Tenants, cluster

QUIET_APPS, NOISY_APPS = 100, 20
MEASURED = 7
Raw = dict[str, Any]
Noise = Callable[[Tenants, dict[str, Raw]], None]


def _nothing(tenants: Tenants, objects: dict[str, Raw]) -> None:
    pass


def _scribbles(tenants: Tenants, objects: dict[str, Raw]) -> None:
    """Every annotation is as long as Kubernetes takes them, and every status is somebody's nonsense."""
    for key, raw in objects.items():
        if key.startswith(("pods/noisy", "replicasets/noisy")):
            raw["metadata"]["annotations"] = {
                RETIRE_ANNOTATION: "[" * 100_000,
                DECISION_ANNOTATION: "x" * 150_000,
            }
        if key.startswith(("elasticapps/noisy", "editions/noisy")):
            raw["status"] = {"conditions": "none", "decisions": [None], "rollout": 1, "learned": [1]}


def _hangs(tenants: Tenants, objects: dict[str, Raw]) -> None:
    """Every write of theirs waits for a webhook that does not answer."""
    tenants.memory.hangs = lambda path: "/noisy" in path


async def _measured(noise: Noise) -> tuple[float, float]:
    """Seconds of a cycle, and until an order of another app was written."""
    tenants = Tenants(patience_s=PATIENCE_S)
    names = [f"quiet-{n}" for n in range(QUIET_APPS)], [f"noisy-{n}" for n in range(NOISY_APPS)]
    objects = cluster(*names[0], *names[1])
    noise(tenants, objects)
    tenants.load(objects)
    for _ in range(3):
        await tenants.once()
    took_s, reacted_s = [], []
    for turn in range(MEASURED):
        number = tenants.memory.version = tenants.memory.version + 1
        app = tenants.memory.objects[f"elasticapps/quiet-{turn}/web"]
        wish = {"mode": "Manual", "replicas": 3}
        meta = {**app["metadata"], "resourceVersion": str(number), "generation": 2}
        tenants.world.apps.store.own({**app, "metadata": meta, "spec": {**app["spec"], **wish}})
        before, began_s = len(tenants.memory.of(f"quiet-{turn}")), time.perf_counter()
        while not _ordered(tenants, turn, before):
            await tenants.once()
        reacted_s.append(time.perf_counter() - began_s)
        began_s = time.perf_counter()
        await tenants.once()
        took_s.append(time.perf_counter() - began_s)
    await tenants.cycle.each.stop()
    return statistics.median(took_s), max(reacted_s)


def _ordered(tenants: Tenants, turn: int, before: int) -> bool:
    written = tenants.memory.of(f"quiet-{turn}")[before:]
    return any(body.get("spec", {}).get("replicas") == 3 for _, _, body in written)


def figures() -> Iterable[Figure]:
    for name, noise in (
        ("nobody noisy", _nothing),
        ("20 that scribble", _scribbles),
        ("20 that hang", _hangs),
    ):
        cycle_s, reaction_s = asyncio.run(_measured(noise))
        what = f"noisy tenant: {QUIET_APPS} apps beside {name}"
        yield Figure(what=f"{what}: a cycle", goal=250.0, reached=cycle_s * 1000, unit="ms")
        yield Figure(
            what=f"{what}: another app's order, at worst", goal=1000.0, reached=reaction_s * 1000, unit="ms"
        )
