"""One real cluster for all tests that need it, and a namespace of its own for each."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from millpond.local.cluster.embedded import Cluster, NodeSpec
from millpond.local.programs import programs

from api.server import connect
from sidebyside import SideBySide
from waiting import eventually


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole product comes last: its operator sees to every app of the cluster, also to those of other tests.

    Its tests begin with the files of those that may take longest.
    """
    longest_s: dict[Path, float] = {}
    for item in items:
        longest_s[item.path] = max(longest_s.get(item.path, 0.0), _limit_s(item))
    items.sort(key=lambda item: (_is_e2e(item), -longest_s[item.path]))


def _is_e2e(item: pytest.Item) -> bool:
    return "e2e" in item.path.parts


def _limit_s(item: pytest.Item) -> float:
    limit = item.get_closest_marker("timeout")
    return float(limit.args[0]) if limit and _is_e2e(item) else 0.0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SideBySide:
    return SideBySide(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Programs are fetched or built (minutes, on a new machine) before any test's time limit runs."""
    if any(item.get_closest_marker(kind) for item in session.items for kind in ("integration", "e2e")):
        programs.find(session.config.get_terminal_writer().line)


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests leave the user's own clusters alone."""
    before, home = os.environ.get("XDG_STATE_HOME"), tmp_path_factory.mktemp("state")
    os.environ["XDG_STATE_HOME"] = str(home)
    yield home
    os.environ.pop("XDG_STATE_HOME")
    if before is not None:
        os.environ["XDG_STATE_HOME"] = before


@pytest.fixture(scope="session")
def cluster(state_home: Path) -> Iterator[Cluster]:
    """Control plane, two nodes (`node-1`, `node-2`, pool `default`), and the chart installed."""
    pool = {"millpond.dev/pool": "default"}
    nodes = [NodeSpec(name, labels=pool) for name in ("node-1", "node-2")]
    with Cluster.start(f"test-{secrets.token_hex(3)}", nodes=nodes) as running:
        running.install_chart()
        yield running


@pytest.fixture(scope="session")
def http(cluster: Cluster) -> Iterator[httpx.Client]:
    """To its API server, as administrator."""
    with connect(cluster.kubeconfig) as http:
        yield http


@pytest.fixture
def namespace(http: httpx.Client) -> Iterator[str]:
    """The name of a fresh namespace, in which pods can be made at once; deleted afterwards.

    Without kubectl, which takes a tenth of a second each time: almost every test has one.
    """
    name = f"test-{secrets.token_hex(4)}"
    there, made = "/api/v1/namespaces", (httpx.codes.CREATED, httpx.codes.CONFLICT)
    asked = {"metadata": {"name": name}}
    eventually(lambda: http.post(there, json=asked).status_code in made, 30, "the namespace is made")
    account = f"{there}/{name}/serviceaccounts/default"
    eventually(lambda: http.get(account).is_success, 30, "the namespace has a default service account")
    yield name
    eventually(lambda: http.delete(f"{there}/{name}").is_success, 30, "the namespace goes")
