"""The demo's own Prometheus: nodes (CPU and memory of servers), router and operator, once a second."""

import json
from collections.abc import Callable

from millpond.local.cluster.embedded import Cluster
from millpond.local.pki import Authority
from millpond.local.prometheus.process import LocalPrometheus, Scrape
from millpond.local.prometheus.program import find_prometheus
from millpond.prom.errors import PromUnavailable


def start(cluster: Cluster, *, router: str, operator: str, say: Callable[[str], None]) -> str | None:
    """Its URL; None, after saying so, when there is none on this machine: the demo goes on without.

    `router` and `operator` are the addresses ("ip:port") at which those show their metrics.
    """
    program = find_prometheus(say)
    if program is None:
        say("going on without Prometheus: the routers' telemetry is enough for scaling")
        return None
    ca = cluster.ca_file
    identity = Authority.at(ca.parent, ca.stem).issue("prometheus", "prometheus")
    nodes = Scrape(
        job="nodes",
        addresses=_kubelets(cluster),
        scheme="https",
        path="/metrics/cadvisor",
        ca_file=ca,
        cert_file=identity.certificate,
        key_file=identity.key,
    )
    routers = Scrape(job="routers", addresses=(router,), path="/stats/prometheus")
    operators = Scrape(job="operator", addresses=(operator,))
    local = LocalPrometheus(program, cluster.state_dir / "prometheus", (nodes, routers, operators))
    say("starting Prometheus")
    process = cluster.run("prometheus", local.argv)
    try:
        local.wait_ready()
    except PromUnavailable as error:
        say(f"{error}; going on without:\n{process.log_tail()}")
        process.stop()
        return None
    return local.url


def _kubelets(cluster: Cluster) -> tuple[str, ...]:
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    return tuple(
        f"{address['address']}:{node['status']['daemonEndpoints']['kubeletEndpoint']['Port']}"
        for node in nodes
        for address in node["status"]["addresses"]
        if address["type"] == "InternalIP"
    )
