"""Any JSON in any part of an ElasticApp: what the API server takes, the operator reads or refuses."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.api.kinds import slapolicy
from millpond.api.kinds.dynamicpool import DynamicPoolSpec
from millpond.api.names import ELASTICAPP, SLAPOLICY
from millpond.control.act import editions
from millpond.control.observe.objects import custom
from millpond.control.resolve.candidates import Resolver, ValidApp
from millpond_policies.reasons import Reason

from api.manifests import manifest
from api.server import Refused, Server
from kube.hostile import changed, json_values, paths

pytestmark = pytest.mark.integration
GOOD = manifest(ELASTICAPP)
POLICY, POOL = slapolicy.parse(manifest(SLAPOLICY)), DynamicPoolSpec(node_selector={})
SPEC = [path for path in paths(GOOD) if path[:1] == ("spec",) and len(path) > 1]
TEMPLATE = [path for path in SPEC if path[1] == "template"]
TRIED, TAKEN = [0], [0]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(SPEC) | st.sampled_from(TEMPLATE), value=json_values)
def test_what_the_api_server_takes_the_operator_reads_or_refuses(dry: Server, path: Any, value: Any) -> None:
    TRIED[0] += 1
    try:
        stored = dry.create(changed(copy.deepcopy(GOOD), path, value), dry_run=True)
    except Refused:
        return
    TAKEN[0] += 1
    app = custom(stored)
    app["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    (found,) = Resolver().resolve({"k": app}, {}, {}).values()
    assert found.problem is not None, "there is no policy"
    if found.problem.reason is not Reason.INVALID_SPEC:
        assert found.spec is not None
        good = ValidApp(key="k", raw=found.raw, spec=found.spec, policy=POLICY, pool=POOL)
        edition = editions.new_edition(good, "0")
        assert editions.replicaset_object(good, edition, serves=True, owned=False)
        assert editions.pool_conflict(good) is None


def test_the_api_server_took_some_of_them() -> None:
    print(f"{TAKEN[0]} of {TRIED[0]} taken")
    assert TRIED[0] == 0 or TAKEN[0] > 20
