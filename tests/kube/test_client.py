"""The client against the real API server, with faults in between."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from kubernetes.aio.config import incluster_config

from millpond.clock import steady_s
from millpond.kube import client, login, paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import ApiError, Conflict, Forbidden, Invalid, NotFound, Unavailable
from millpond.lead.handlers import connection
from millpond.local.cluster.embedded import Cluster

from kube.fault_proxy import Fault, FaultProxy, Hang, LoseAnswer, Reset, Seen, Status
from waiting import eventually_async

pytestmark = pytest.mark.integration


def configmap(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def maps(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def reads(seen: Seen) -> bool:
    return seen.verb == "GET" and "configmaps" in seen.path


async def test_create_read_patch_list_delete(api: Api, namespace: str) -> None:
    made = await api.create(maps(namespace), configmap("a", x="1"))
    assert (await api.get(maps(namespace, "a")))["data"] == {"x": "1"}
    await api.patch(maps(namespace, "a"), {"data": {"y": "2"}})
    await api.patch(maps(namespace, "a"), [{"op": "remove", "path": "/data/x"}], kind="json")
    applied = configmap("a", z="3")
    patched = await api.patch(maps(namespace, "a"), applied, kind="apply", field_manager="tests")
    assert patched["data"] == {"y": "2", "z": "3"}
    with pytest.raises(Conflict, match="UID"):
        await api.delete(maps(namespace, "a"), uid="of-another-object")
    await api.delete(maps(namespace, "a"), uid=made["metadata"]["uid"])
    with pytest.raises(NotFound):
        await api.get(maps(namespace, "a"))


async def test_a_list_is_read_page_by_page(api: Api, namespace: str) -> None:
    await asyncio.gather(*(api.create(maps(namespace), configmap(f"page-{n}")) for n in range(7)))
    items, version = await api.list(maps(namespace), limit=2)
    names = {item["metadata"]["name"] for item in items} - {"kube-root-ca.crt"}
    assert names == {f"page-{n}" for n in range(7)}
    assert int(version) > 0


async def test_one_object_can_be_watched_alone(api: Api, namespace: str) -> None:
    before = (await api.list(maps(namespace))).version
    for name in ("other", "mine"):
        await api.create(maps(namespace), configmap(name))
    await api.delete(maps(namespace, "mine"))
    seen = [
        (event, obj["metadata"]["name"])
        async for event, obj in api.watch(maps(namespace), before, 1, name="mine")
        if event != "BOOKMARK"
    ]
    assert seen == [("ADDED", "mine"), ("DELETED", "mine")]


async def test_a_dry_run_changes_nothing_and_says_what_is_wrong(api: Api, namespace: str) -> None:
    await api.create(maps(namespace), configmap("dry"), dry_run=True)
    with pytest.raises(NotFound):
        await api.get(maps(namespace, "dry"))
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "Not A Name", "image": "i"}]}}
    with pytest.raises(Invalid, match="Not A Name"):
        await api.create(paths.pods(namespace), pod, dry_run=True)


async def test_a_name_that_is_taken_is_a_conflict(api: Api, namespace: str) -> None:
    await api.create(maps(namespace), configmap("twice"))
    with pytest.raises(Conflict, match="already exists"):
        await api.create(maps(namespace), configmap("twice"))


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        pytest.param(Status(500), 2, id="500 twice: the third answer is taken"),
        pytest.param(Status(503), 1, id="503: asked again"),
        pytest.param(Status(429, {"Retry-After": "1"}), 1, id="429: asked again after the time it names"),
    ],
)
async def test_short_trouble_is_bridged(
    proxied: Api, proxy: FaultProxy, namespace: str, fault: Fault, times: int
) -> None:
    injection = proxy.inject(reads, fault, times)
    await proxied.list(maps(namespace))
    assert injection.hits == times


async def test_retry_after_is_obeyed_by_all_calls_together(
    proxied: Api, proxy: FaultProxy, namespace: str
) -> None:
    started_s = steady_s()
    injection = proxy.inject(reads, Status(429, {"Retry-After": "1"}), times=1)
    first = asyncio.create_task(proxied.list(maps(namespace)))
    await eventually_async(lambda: proxied._not_before_s > 0, 10, "the server asked to slow down")
    await proxied.get("/version")  # nothing to do with it, and yet it waits
    assert steady_s() - started_s >= 1.0
    await first
    assert injection.hits == 1


async def test_a_server_that_only_says_429_is_not_stormed(
    proxied: Api, proxy: FaultProxy, namespace: str
) -> None:
    injection = proxy.inject(reads, Status(429, {"Retry-After": "0"}))
    with pytest.raises(Unavailable, match="429"):
        await proxied.list(maps(namespace))
    assert injection.hits == client.ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "written"),
    [
        pytest.param(Status(500), False, id="500: a create is not repeated, it may have happened"),
        pytest.param(Reset(), False, id="connection cut before the server heard of it"),
        pytest.param(LoseAnswer(), True, id="done, but the answer is lost"),
    ],
)
async def test_a_create_that_fails_is_not_repeated(
    proxied: Api, proxy: FaultProxy, namespace: str, fault: Fault, written: bool
) -> None:
    proxy.inject(lambda seen: seen.write and "configmaps" in seen.path, fault)
    with pytest.raises(Unavailable):
        await proxied.create(maps(namespace), configmap("once"))
    assert len([seen for seen in proxy.writes() if "configmaps" in seen.path]) == 1
    names = [item["metadata"]["name"] for item in (await proxied.list(maps(namespace)))[0]]
    assert ("once" in names) is written


async def test_a_server_that_hangs_is_given_up(
    proxied: Api, proxy: FaultProxy, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TOTAL_S", 0.5)
    proxy.inject(reads, Hang())
    with pytest.raises(Unavailable, match="no answer within"):
        await proxied.list(maps(namespace))


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(_kubeconfig({"server": "http://127.0.0.1:1"}, {}))
    api = Api(kubeconfig)
    with pytest.raises(Unavailable):
        await api.get("/version")
    await api.close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="an empty file"),
        pytest.param("{: no yaml", id="no YAML"),
        pytest.param("apiVersion: v1\nkind: Config\n", id="no context"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path, content: str) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(content)
    with pytest.raises(ApiError, match=str(kubeconfig)):
        await Api(kubeconfig).get("/version")


async def test_a_server_with_a_foreign_certificate_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    original = yaml.safe_load(cluster.kubeconfig.read_text())
    server = {"server": original["clusters"][0]["cluster"]["server"]}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(_kubeconfig(server, {}))  # no CA: the system's, which did not sign this one
    api = Api(kubeconfig)
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        await api.get("/version")
    await api.close()


async def test_a_rotated_token_is_used_without_a_restart(
    api: Api, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    tokens = [await _token(api, namespace) for _ in range(2)]
    token_file, kubeconfig = tmp_path / "token", tmp_path / "kubeconfig"
    token_file.write_text("expired.or.wrong")
    original = yaml.safe_load(cluster.kubeconfig.read_text())
    kubeconfig.write_text(_kubeconfig(original["clusters"][0]["cluster"], {"tokenFile": str(token_file)}))
    account = Api(kubeconfig)
    review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    with pytest.raises(Forbidden):
        await account.create(review, {})
    for token in tokens:
        token_file.write_text(token)

        async def known() -> bool:
            answer = await account.create(review, {})
            return str(answer["status"]["userInfo"]["username"]).endswith(f"{namespace}:default")

        await eventually_async(known, 15, "the new token is used")
    await account.close()


async def test_in_a_pod_it_logs_in_as_the_service_account(
    api: Api, cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(await _token(api, namespace))
    server = urlsplit(cluster.server)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(server.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    for module in (incluster_config, login):
        monkeypatch.setattr(module, "SERVICE_TOKEN_FILENAME", str(token_file))
        monkeypatch.setattr(module, "SERVICE_CERT_FILENAME", str(cluster.ca_file))
    pod = Api()
    answer = await pod.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"
    kopfs = await connection(pod.login)
    assert kopfs.scheme == "Bearer"
    assert kopfs.token == token_file.read_text()
    await pod.close()


async def test_outside_of_a_pod_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Forbidden, match="the service account of this pod"):
        await Api().get("/version")


async def _token(api: Api, namespace: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    return str((await api.create(path, {"spec": {"expirationSeconds": 600}}))["status"]["token"])


def _kubeconfig(cluster: Object, user: Object) -> str:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    return json.dumps(content)


async def test_a_webhook_that_answers_429_holds_up_its_own_call_alone(api: Api) -> None:
    """The API server passes a webhook's code on: a tenant could make all of ours rest."""
    asked: list[str] = []

    async def once(verb: str, path: str, *_: Any) -> tuple[int, dict[str, str], Any]:
        asked.append(path)
        message = (
            'admission webhook "x" denied the request: later' if "noisy" in path else "too many requests"
        )
        return 429, {"Retry-After": "10"}, {"message": message}

    api._once = once  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="denied the request"):
        await api.create(maps("noisy"), {})
    assert asked == [maps("noisy")], "it is not asked again"
    assert api._not_before_s == 0.0
