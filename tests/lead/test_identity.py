"""The certificates between operator and routers, in Secrets on a real API server, with the operator's own rights."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from millpond.api.names import NAMESPACE
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import Conflict, Forbidden, Invalid
from millpond.lead.identity import CA_SECRET, ROTATE_ANNOTATION, ROUTER_SECRET, Identity, service_names
from millpond.local.cluster.embedded import Cluster, KubectlError
from millpond.router.trust.authority import Lives, Signed, router_identity

pytestmark = pytest.mark.integration
DAY_S = 86_400.0
NOW_S = 1_800_000_000.0
ROUTER = paths.secrets(NAMESPACE, ROUTER_SECRET)
CA = paths.secrets(NAMESPACE, CA_SECRET)


class Operator:
    """What an operator has of it, at a time that the test sets, and how often it wrote."""

    def __init__(self, kubeconfig: Path, *, namespace: str = NAMESPACE) -> None:
        self.now_s = NOW_S
        self.writes: list[str] = []
        self.api = Api(kubeconfig, on_write=lambda verb, resource: self.writes.append(f"{verb} {resource}"))
        self.identity = Identity(self.api, namespace, clock=lambda: self.now_s, lives=Lives())

    async def tend(self, *, days_later: float = 0.0) -> int:
        """How many writes it took."""
        self.now_s += days_later * DAY_S
        before = len(self.writes)
        await self.identity.tend()
        return len(self.writes) - before


@pytest.fixture
async def operators(cluster: Cluster) -> AsyncIterator[list[Operator]]:
    cluster.kubectl(
        "delete", "secret", CA_SECRET, ROUTER_SECRET, "--ignore-not-found", f"--namespace={NAMESPACE}"
    )
    found = [Operator(cluster.operator_kubeconfig) for _ in range(2)]
    yield found
    for operator in found:
        await operator.api.close()
    cluster.kubectl(
        "delete", "secret", CA_SECRET, ROUTER_SECRET, "--ignore-not-found", f"--namespace={NAMESPACE}"
    )


def decoded(secret: Object) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


def certificates(bundle: bytes) -> int:
    return bundle.count(b"BEGIN CERTIFICATE")


async def test_everything_is_made_once_and_then_left_alone(operators: list[Operator], api: Api) -> None:
    first, second = operators
    assert await first.tend() == 2
    secret = await api.get(ROUTER)
    data = decoded(secret)
    assert set(data) == {"ca.crt", "tls.crt", "tls.key"}
    assert secret["type"] == "kubernetes.io/tls"
    leaf = Signed(data["tls.crt"], data["tls.key"])
    leaf.check()
    assert leaf.names() == (router_identity(NAMESPACE),)
    assert [await first.tend(), await second.tend(), await first.tend(days_later=59)] == [0, 0, 0]
    assert await api.get(ROUTER) == secret
    assert b"PRIVATE" not in data["ca.crt"] + data["tls.crt"]


async def test_operators_that_start_at_once_come_to_the_same(operators: list[Operator], api: Api) -> None:
    await asyncio.gather(*(operator.tend() for operator in operators))
    trusted = decoded(await api.get(ROUTER))["ca.crt"]
    assert trusted == decoded(await api.get(CA))["tls.crt"]
    for operator in operators:
        used = operator.identity._used
        assert used is not None
        assert used[1] == trusted
        assert await operator.tend() == 0


async def test_a_routers_certificate_is_renewed_after_two_thirds_of_its_life(
    operators: list[Operator], api: Api
) -> None:
    await operators[0].tend()
    before = decoded(await api.get(ROUTER))
    assert await operators[0].tend(days_later=61) == 1
    after = decoded(await api.get(ROUTER))
    assert after["ca.crt"] == before["ca.crt"]
    assert after["tls.crt"] != before["tls.crt"]
    assert "valid until 2027-06-1" in operators[0].identity.described()


async def test_a_new_authority_comes_in_three_stages_when_it_is_asked_for(
    operators: list[Operator], api: Api, cluster: Cluster
) -> None:
    one, other = operators
    await one.tend()
    old = decoded(await api.get(ROUTER))
    cluster.kubectl(
        "annotate", "secret", CA_SECRET, f"{ROTATE_ANNOTATION}=leaked", f"--namespace={NAMESPACE}"
    )
    assert await one.tend() == 2
    announced = decoded(await api.get(ROUTER))
    assert certificates(announced["ca.crt"]) == 2
    assert announced["tls.crt"] == old["tls.crt"]
    assert ROTATE_ANNOTATION not in (await api.get(CA))["metadata"]["annotations"]
    other.now_s += 0.1 * DAY_S
    assert await other.tend() == 2
    promoted = decoded(await api.get(ROUTER))
    assert promoted["tls.crt"] != old["tls.crt"]
    assert certificates(promoted["ca.crt"]) == 2
    assert await one.tend(days_later=0.1) == 0
    assert await one.tend(days_later=91) == 2
    alone = decoded(await api.get(ROUTER))
    assert certificates(alone["ca.crt"]) == 1
    assert old["ca.crt"].strip() not in alone["ca.crt"]
    assert set(decoded(await api.get(CA))) == {"tls.crt", "tls.key"}


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        pytest.param({"data": {"tls.key": "bm9uc2Vuc2U="}}, "the key is not readable as PEM", id="no key"),
        pytest.param({"data": {"tls.crt": ""}}, "the certificate is not readable as PEM", id="empty"),
        pytest.param({"metadata": {"annotations": None}}, "annotations is missing", id="no annotation"),
    ],
)
async def test_a_damaged_authority_is_neither_used_nor_overwritten(
    operators: list[Operator], api: Api, patch: Any, said: str
) -> None:
    first, second = operators
    await first.tend()
    await api.patch(CA, patch)
    damaged = await api.get(CA)
    for operator in (first, second):
        with pytest.raises(
            Invalid, match=f"{NAMESPACE}/{CA_SECRET} is damaged: {said}; restore it, or delete it"
        ):
            await operator.tend()
    assert await api.get(CA) == damaged
    assert first.identity._used is not None
    with pytest.raises(Invalid, match="is damaged"):
        await second.identity.start()


async def test_a_damaged_or_deleted_secret_of_routers_is_made_again(
    operators: list[Operator], api: Api
) -> None:
    await operators[0].tend()
    await api.patch(ROUTER, {"data": {"tls.crt": "bm9uc2Vuc2U=", "ca.crt": None, "more": "bm9uc2Vuc2U="}})
    assert await operators[0].tend() == 1
    data = decoded(await api.get(ROUTER))
    assert set(data) == {"ca.crt", "tls.crt", "tls.key"}
    Signed(data["tls.crt"], data["tls.key"]).check()
    await api.delete(ROUTER)
    assert await operators[0].tend() == 1


async def test_a_deleted_authority_is_replaced_at_once_and_routers_with_it(
    operators: list[Operator], api: Api
) -> None:
    await operators[0].tend()
    before = decoded(await api.get(ROUTER))
    await api.delete(CA)
    assert await operators[0].tend() == 2
    after = decoded(await api.get(ROUTER))
    assert after["ca.crt"] != before["ca.crt"]
    assert after["tls.crt"] != before["tls.crt"]


async def test_a_write_does_not_overwrite_what_another_wrote_meanwhile(
    operators: list[Operator], api: Api
) -> None:
    await operators[0].tend()
    read = await operators[0].api.get(ROUTER)
    await api.patch(ROUTER, {"metadata": {"labels": {"seen": "yes"}}})
    with pytest.raises(Conflict):
        await operators[0].identity._write(read, {}, {})


async def test_the_operator_reads_its_own_two_secrets_and_no_others(
    operators: list[Operator], cluster: Cluster
) -> None:
    with pytest.raises(Forbidden):
        await operators[0].api.get(paths.secrets(NAMESPACE, "other"))
    with pytest.raises(Forbidden):
        await operators[0].api.list(paths.secrets(NAMESPACE))
    elsewhere = Operator(cluster.operator_kubeconfig, namespace="default")
    with pytest.raises(Forbidden):
        await elsewhere.identity.tend()
    await elsewhere.api.close()


def test_the_chart_gives_no_more_rights_on_secrets(cluster: Cluster) -> None:
    who = "--as=system:serviceaccount:millpond-system:millpond-operator"
    for verb in ("delete", "list", "watch"):
        with pytest.raises(KubectlError):
            cluster.kubectl("auth", "can-i", verb, f"secrets/{CA_SECRET}", f"--namespace={NAMESPACE}", who)


def test_routers_may_call_the_operator_by_its_service_or_as_the_admin_says() -> None:
    names = service_names("ops", ["xds.example", "10.0.0.7", "localhost"])
    assert {"millpond-operator.ops.svc", "localhost", "127.0.0.1", "xds.example", "10.0.0.7"} <= set(names)
    assert len(names) == len(set(names))
