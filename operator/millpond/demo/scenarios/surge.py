"""Load rises past what one server can do, rises again, and falls: 1 → 2 → 4 → 1 servers (row S1 of the design)."""

import sys

from millpond import paths
from millpond.cluster.embedded import NodeSpec
from millpond.demo import checks
from millpond.demo.profile import Profile
from millpond.demo.scenario import Scenario

_IMAGES = {"millpond.dev/sample-app": (sys.executable, str(paths.examples() / "sample_app" / "app.py"))}
_LABELS = {"millpond.dev/pool": "default"}

SCENARIO = Scenario(
    name="surge",
    title="A surge: average response ≤ 300 ms while the load goes from 12 to 122 requests/s and back",
    manifests=(paths.catalog() / "gold.yaml", paths.examples() / "surge"),
    namespace="shop",
    app="shop",
    host="shop.example",
    goal_ms=300,
    slots=4,
    service_time_ms=100,
    sequence=(1, 2, 4),
    profile=Profile.steps((30, 12), (50, 52), (60, 122), (70, 12)),
    calm_s=40,
    nodes=tuple(
        NodeSpec(name, cpu="2", memory="2Gi", labels=_LABELS, images=_IMAGES) for name in ("node-1", "node-2")
    ),
    checks=(
        checks.sequence,
        checks.first_server_in_time,
        checks.decided_quickly,
        checks.recovered_after_each_rise,
        checks.nothing_beyond_the_need,
        checks.no_failed_request,
        checks.routers_saw_every_request,
    ),
)
