"""How often a settled cycle derives the same thing again, by app: 1,000 apps and 5,000 servers in memory.

`python -m tests.bench.derivations` prints the table, `python -m tests.bench` has the lines among the others.
"""

import asyncio
import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.figures import Figure
from tests.bench.operator_cycle import BigCluster

DERIVED = {
    "how far its rollout is": ("millpond.control.resolve.rollouts", "progress"),
    "the edition that serves": ("millpond.control.resolve.rollouts", "active"),
    "the states of its editions": ("millpond.control.resolve.rollouts", "states"),
    "what keeps servers from coming": ("millpond.control.observe.troubles", "trouble"),
}
REGROUPED = "the whole cluster by app"
Function = Callable[..., Any]


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Calls of everything that is derived of an app, wherever it was imported to, and of `World.holdings`."""
    calls: Counter[str] = Counter()
    undo: list[Callable[[], None]] = []

    def count(owner: Any, name: str, what: str) -> None:
        before = getattr(owner, name)

        def counting(*args: Any, **more: Any) -> Any:
            calls[what] += 1
            return before(*args, **more)

        setattr(owner, name, counting)
        undo.append(lambda: setattr(owner, name, before))

    for what, (module, name) in DERIVED.items():
        for owner in _importers(module, name):
            count(owner, name, what)
    count(importlib.import_module("millpond.control.observe.world").World, "holdings", REGROUPED)
    try:
        yield calls
    finally:
        for one in undo:
            one()


def _importers(module: str, name: str) -> list[Any]:
    """The module itself, and those that took the function by its name."""
    import sys

    function = getattr(importlib.import_module(module), name)
    loaded = [m for n, m in sys.modules.items() if n.startswith("millpond.")]
    return [m for m in loaded if getattr(m, name, None) is function]


async def _measured(apps: int, servers: int) -> dict[str, float]:
    """Calls per app in one settled cycle; of the whole cluster, calls."""
    cluster = BigCluster(apps, servers)
    await cluster.settle()
    with counted() as calls:
        await cluster.once()
    return {**{what: calls[what] / apps for what in DERIVED}, REGROUPED: float(calls[REGROUPED])}


def figures() -> Iterable[Figure]:
    for what, number in asyncio.run(_measured(1000, 5)).items():
        yield Figure(what=f"a settled cycle finds out: {what}", goal=1.0, reached=number, unit="times")


if __name__ == "__main__":
    for figure in figures():
        print(f"{figure.what:<70} {figure.reached:g}")
