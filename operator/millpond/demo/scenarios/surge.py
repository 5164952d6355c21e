"""Load rises past what one server can do, rises again, and falls: 1 → 2 → 4 → 1 servers (row S1 of the design)."""

from millpond import paths
from millpond.demo.judge import checks
from millpond.demo.requests.profile import Profile
from millpond.demo.scenario import Scenario

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
    images={"millpond.dev/sample-app:0.1.0": {}},
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
