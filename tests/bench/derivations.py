"""How often a settled cycle derives the same thing again, by app: 1,000 apps and 5,000 servers in memory.

`python -m tests.bench.derivations` prints the table, `python -m tests.bench` has the lines among the others.
"""

import asyncio
from collections.abc import Iterable

from tests.bench.figures import Figure
from tests.bench.operator_cycle import BigCluster
from tests.kube.counting import DERIVED, REGROUPED, counted


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
