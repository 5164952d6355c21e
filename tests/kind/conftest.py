"""One kind cluster for all tests, with Millpond installed from its chart, and traffic that never stops.

MILLPOND_TEST_KIND=NAME takes a cluster that is there (with what is on it) and leaves it.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from millpond.demo import scenario
from millpond.demo.kind import images, tools
from millpond.demo.kind.cluster import KindCluster
from millpond.demo.kind.explain import explain
from millpond.demo.kind.release import Release

from kind.flow import Flow
from kind.rotation import Rotation
from kind.shop import Shop

ROOT = Path(__file__).resolve().parents[2]
NEXT = "next"
"""A tag of the same image, for upgrades."""


def say(text: str) -> None:
    """Seen while it happens, whatever pytest captures."""
    print(f"· {text}", file=sys.__stderr__, flush=True)


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """After a failure: what the cluster says."""
    stack = getattr(item.config, "kind_release", None)
    if call.excinfo is not None and isinstance(stack, Release) and "kind" in item.path.parts:
        item.add_report_section(call.when, "cluster", explain(stack.cluster, ("shop",)))


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Release]:
    """Operator and two routers, ready. The images are made while the cluster comes up."""
    found, folder = tools.find(), tmp_path_factory.mktemp("kind") / "cluster"
    if name := os.environ.get("MILLPOND_TEST_KIND"):
        release = Release(KindCluster.reuse(found, name, folder))
        request.config.kind_release = release  # type: ignore[attr-defined]
        if not release.exists:
            _install(release)
        yield release
        return
    with ThreadPoolExecutor() as pool:
        making = pool.submit(
            subprocess.run, ["make", "-C", str(ROOT), "image"], capture_output=True, text=True
        )
        cluster = KindCluster.create(found, f"millpond-test-{secrets.token_hex(2)}", folder, say)
    try:
        made = making.result()
        assert made.returncode == 0, made.stdout + made.stderr
        release = Release(cluster)
        request.config.kind_release = release  # type: ignore[attr-defined]
        _install(release)
        yield release
    finally:
        cluster.delete(say)


def _install(release: Release) -> None:
    found = release.cluster.tools
    own, *others = images.ensure(found, scenario.load("rollout").images, say)
    following = f"{images.repository(found)}:{NEXT}"
    found.run(found.engine, "tag", own, following)
    release.cluster.load((own, following, *others), say)
    try:
        release.install(say)
    except Exception:
        say(explain(release.cluster, ()))
        raise


@pytest.fixture(scope="session")
def url(release: Release) -> str:
    """Where the routers are reached from this machine."""
    return f"http://127.0.0.1:{release.cluster.host_port(release.node_port)}/"


@pytest.fixture(scope="session")
def rotation(release: Release) -> Rotation:
    """Of the routers' certificate authority: begins with the first test that wants it, and goes on through others."""
    return Rotation(release)


@pytest.fixture(scope="module")
def shop(release: Release, url: str) -> Iterator[Shop]:
    """The app of examples/rollout with two servers."""
    with Shop.run(release, url, say) as running:
        yield running


@pytest.fixture(scope="module")
def flow(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flow]:
    """200 requests a second, from before the first test that wants it until after the last."""
    with Flow.run(shop, tmp_path_factory.mktemp("flow")) as flow:
        yield flow
