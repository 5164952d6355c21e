"""`millpond explain` tells from the cluster alone why an app has the servers it has."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from millpond.cli.show.explain import explain
from millpond.control.report.conditions import with_condition
from millpond.control.report.decisions import record
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.local.cluster.embedded import Cluster
from millpond_policies.reasons import Reason
from millpond_policies.world.actions import Because, Grow, Refused

from cli.staged import manifest

pytestmark = pytest.mark.integration
T0 = 1_700_000_000.0
APP = manifest()
GROW = Grow(
    app="any/web",
    edition="v1",
    to=4,
    because=Because(
        reason=Reason.FORECAST_ABOVE_CAPACITY,
        servers=2,
        wanted=4,
        needed=6,
        limited_by=Reason.AT_CEILING,
        inputs=(("rate_rps", 82.4567),),
        refused=(Refused(servers=6, reason=Reason.ABOVE_CEILING),),
    ),
)


@pytest.fixture
def app(cluster: Cluster, namespace: str) -> str:
    """An app whose status says what an operator would have written."""
    status = {
        "observedGeneration": 1,
        "edition": "v1",
        "replicas": 2,
        "goal": "average ≤ 300 ms",
        "servers": {"desired": 4, "ready": 2, "starting": 2, "draining": 0},
        "conditions": with_condition([], "Limited", True, Reason.AT_CEILING, "needs 6 of at most 4", 1, T0),
        "decisions": record([], GROW, T0),
    }

    async def make() -> None:
        api = Api(cluster.kubeconfig)
        await api.create(paths.elasticapps(namespace), APP)
        await api.patch(paths.elasticapps(namespace, "web", "status"), {"status": status})
        await api.close()

    asyncio.run(make())
    return "web"


def run(cluster: Cluster, *args: str) -> Result:
    return CliRunner().invoke(explain, [*args, "--kubeconfig", str(cluster.kubeconfig)])


def test_text_tells_decision_reason_inputs_refusals_and_the_limit(
    cluster: Cluster, namespace: str, app: str
) -> None:
    result = run(cluster, app, "-n", namespace)
    assert result.exit_code == 0, result.output
    for part in (
        f"{namespace}/web  edition v1",
        "average ≤ 300 ms",
        "4 desired, 2 ready, 2 starting, 0 draining",
        "AtCeiling: needs 6 of at most 4",
        "order 2 more: 2 → 4 servers",
        "ForecastAboveCapacity (needed 6, wanted 4, ordered 2)",
        "limit     AtCeiling",
        "rate_rps=82.46",
        "6 servers: AboveCeiling",
    ):
        assert part in result.output


def test_json_is_for_programs(cluster: Cluster, namespace: str, app: str) -> None:
    result = run(cluster, app, "-n", namespace, "-o", "json")
    told = json.loads(result.stdout)
    assert told["decisions"][0]["limitedBy"] == "AtCeiling"
    assert told["servers"]["ready"] == 2


def test_an_app_that_does_not_exist_is_named_with_those_that_do(
    cluster: Cluster, namespace: str, app: str
) -> None:
    result = run(cluster, "wep", "-n", namespace)
    assert result.exit_code == 1
    assert f"no ElasticApp 'wep' in namespace '{namespace}' (there: web)" in result.output


def test_a_namespace_that_does_not_exist_is_named(cluster: Cluster) -> None:
    assert "no namespace 'nowhere'" in run(cluster, "web", "-n", "nowhere").output


def test_an_app_that_no_operator_has_seen(cluster: Cluster, namespace: str) -> None:
    async def make() -> None:
        api = Api(cluster.kubeconfig)
        await api.create(paths.elasticapps(namespace), APP)
        await api.close()

    asyncio.run(make())
    result = run(cluster, "web", "-n", namespace)
    assert result.exit_code == 0
    assert "has the operator seen this app?" in result.output


def test_without_a_kubeconfig_it_says_where_it_looked(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    result = CliRunner().invoke(explain, ["web"], env={"KUBECONFIG": missing})
    assert result.exit_code == 1
    assert missing in result.output
