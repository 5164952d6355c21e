"""The load of a scenario as a command, and how many requests of it a router counted."""

import sys
from dataclasses import asdict
from pathlib import Path

from millpond.demo.scenario import Scenario

ID_PREFIX = "demo"
_ROUTED = 'envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="apps"}'
_TIMEOUT_S = 30.0  # of each request
_LONGEST_S = 3600.0  # of a load that is ended


def command(scenario: Scenario, url: str, out: Path, answers: Path) -> list[str]:
    """Its lines go to `out`; with a script there is one for each request in `answers`."""
    argv = ["--target", url, "--host", scenario.host, "--out", str(out)]
    argv += ["--timeout-s", str(_TIMEOUT_S), "--id-prefix", ID_PREFIX]
    if scenario.script:
        mix = [(f"--{n.replace('_', '-')}", str(v)) for n, v in asdict(scenario.script.mix).items()]
        argv += ["--rate", str(scenario.profile.rate_rps(0)), "--seconds", str(_LONGEST_S)]
        argv += ["--answers", str(answers), *(word for option in mix for word in option)]
        return [sys.executable, "-m", "millpond.demo.requests.traffic", *argv]
    return [
        sys.executable,
        "-m",
        "millpond.demo.requests.load",
        *argv,
        "--profile",
        scenario.profile.to_json(),
    ]


def counted(statistics: str) -> int | None:
    """Requests to apps in what one router answers to GET /stats/prometheus; None: no such figure."""
    counts = [line.rsplit(" ", 1)[1] for line in statistics.splitlines() if line.startswith(_ROUTED)]
    return int(float(counts[0])) if counts else None
