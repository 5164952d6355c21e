"""`millpond` in this process and in one of its own, and an app for it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from millpond.cli.main import main
from millpond.local.cluster.embedded import Cluster

from api.server import Server
from cli.process import Process
from cli.staged import Staged
from kube.conftest import api as api
from kube.conftest import proxied as proxied
from kube.conftest import proxy as proxy

Run = Callable[..., Result]
Start = Callable[..., Process]
Account = Callable[..., Path]


@pytest.fixture
def staged(http: httpx.Client, namespace: str) -> Staged:
    """An app `web`: v1 serves."""
    app = Staged(Server(http, namespace)).create()
    app.tell()
    return app


@pytest.fixture
def run(cluster: Cluster, namespace: str) -> Run:
    """`run("pause", "web")`: `millpond rollout pause web` in our namespace."""

    def run(verb: str, *args: str, kubeconfig: Path = cluster.kubeconfig, stdin: str | None = None) -> Result:
        there = (f"--namespace={namespace}", f"--kubeconfig={kubeconfig}")
        return CliRunner().invoke(main, ["rollout", verb, *args, *there], input=stdin)

    return run


@pytest.fixture
def call(cluster: Cluster, namespace: str) -> Run:
    """`call("get", "apps")`: `millpond get apps` in our namespace."""

    def call(verb: str, *args: str, kubeconfig: Path = cluster.kubeconfig) -> Result:
        there = (f"--namespace={namespace}", f"--kubeconfig={kubeconfig}")
        return CliRunner().invoke(main, [verb, *args, *there])

    return call


@pytest.fixture
def begin(cluster: Cluster, namespace: str) -> Iterator[Start]:
    """`begin("status", "web", "--wait")`: the same as a process of its own."""
    begun: list[Process] = []

    def begin(
        verb: str, *args: str, kubeconfig: Path = cluster.kubeconfig, terminal: bool = False
    ) -> Process:
        there = (f"--namespace={namespace}", f"--kubeconfig={kubeconfig}")
        begun.append(Process(["rollout", verb, *args, *there], terminal=terminal))
        return begun[-1]

    yield begin
    for process in begun:
        process.end()


@pytest.fixture
def account(cluster: Cluster, namespace: str, tmp_path: Path) -> Account:
    """`account("ann", "view")`: the kubeconfig of a service account of our namespace with these cluster roles."""

    def account(name: str, *roles: str) -> Path:
        there, kubeconfig = f"--namespace={namespace}", tmp_path / f"{name}.kubeconfig"
        cluster.kubectl("create", "serviceaccount", name, there)
        for role in roles:
            who = (f"--clusterrole={role}", f"--serviceaccount={namespace}:{name}")
            cluster.kubectl("create", "rolebinding", f"{name}-{role}", *who, there)
        token = cluster.kubectl("create", "token", name, there).strip()
        server = {"server": cluster.server, "certificate-authority": str(cluster.ca_file)}
        context = {"cluster": "c", "user": "u", "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": server}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "x", "context": context}],
            "current-context": "x",
        }
        kubeconfig.write_text(json.dumps(config))
        return kubeconfig

    return account
