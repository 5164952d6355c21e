"""No operator acts: also not the one that stood by and took the Lease from the one that was ended first."""

from collections.abc import Iterator
from typing import Any

import pytest

from millpond.cli.detach import stopping

Raw = dict[str, Any]


class Cluster:
    """An API server with a Deployment of two operators and a Lease whose holder is another one at each look."""

    def __init__(self, holders: Iterator[str]) -> None:
        self._holders, self._looks = holders, 0
        self.replicas = 2

    async def get(self, path: str) -> Raw:
        if "/deployments/" in path:
            return {"spec": {"replicas": self.replicas}}
        self._looks += 1
        spec = {"holderIdentity": next(self._holders, ""), "leaseDurationSeconds": 15}
        return {"metadata": {"resourceVersion": str(self._looks)}, "spec": spec}

    async def patch(self, path: str, body: Raw) -> Raw:
        self.replicas = body["spec"]["replicas"]
        return body


async def test_an_operator_that_took_the_lease_meanwhile_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopping, "_TAKEN_WITHIN_S", 0.0)
    monkeypatch.setattr(stopping, "_LOOK_S", 0.0)
    holders = iter(["a", "a", "", "", "b", "b", "b", "b", ""])
    cluster, said = Cluster(holders), list[str]()
    await stopping.stop(cluster, "home", said.append)  # type: ignore[arg-type]
    assert cluster.replicas == 0
    assert next(holders, None) is None, "it was looked at until nobody held it any more"
    assert "no operator acts" in said[-1]
