from collections.abc import Iterator
from pathlib import Path

import pytest

from millpond.local.cluster.embedded import Cluster

from chart import gotool, helms, modules
from chart.helms import Helm
from chart.rendering import RELEASE_NAMESPACE
from chart.sets import NAMESPACES

HERE = Path(__file__).parent


def pytest_collection_finish(session: pytest.Session) -> None:
    """Helm is built and custom resources are fetched before any test's time limit runs."""
    if any(HERE in item.path.parents for item in session.items):
        tell = session.config.get_terminal_writer().line
        try:
            for major in helms.MAJORS:
                helms.find(major, tell)
            modules.definitions()
        except gotool.NoGo as reason:
            tell(f"some tests of the chart are skipped: {reason}")


def _helm(major: int) -> Helm:
    try:
        return helms.find(major, print)
    except gotool.NoGo as reason:
        pytest.skip(f"Helm {major} is not on the PATH and can't be built: {reason}")


@pytest.fixture(scope="session", params=helms.MAJORS, ids=lambda major: f"Helm {major}")
def each_helm(request: pytest.FixtureRequest) -> Helm:
    return _helm(request.param)


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Where one is enough: another test shows that all render the same."""
    for major in helms.MAJORS:
        try:
            return helms.find(major, print)
        except gotool.NoGo as error:
            reason = error
    pytest.skip(f"no Helm is on the PATH, and none can be built: {reason}")


@pytest.fixture(scope="session")
def release(cluster: Cluster) -> Iterator[str]:
    """The release's namespace, and those that it may be told to watch; the first admits only restricted pods."""
    names = (RELEASE_NAMESPACE, *NAMESPACES)
    for name in names:
        cluster.kubectl("create", "namespace", name)
    level = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", RELEASE_NAMESPACE, level)
    yield RELEASE_NAMESPACE
    cluster.kubectl("delete", "namespace", *names, "--wait=false")


@pytest.fixture(scope="session")
def definitions(cluster: Cluster) -> None:
    """The API server knows what monitoring, certificates and gateways are."""
    try:
        files = [f"--filename={path}" for path in modules.definitions()]
    except gotool.NoGo as reason:
        pytest.skip(f"custom resources of other projects can't be fetched: {reason}")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", *files)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", *files)
