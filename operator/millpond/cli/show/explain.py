"""`millpond explain APP`: why an app has the servers it has, from what is recorded in the cluster."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from millpond.api.names import edition_object
from millpond.cli import output
from millpond.cli.show.kinds import APPS, find
from millpond.cli.target import Target
from millpond.cli.verb import Verb
from millpond.cli.where import the_app, where
from millpond.control.report.conditions import condition
from millpond.control.report.decisions import as_text
from millpond.kube.client import Object
from millpond_policies.learn.windows import PRESENT_S

# What the figures of a decision mean; others say it by their names.
_MEANINGS = {
    "rate_rps": f"requests per second over the last {PRESENT_S:g} s",
    "forecast_rps": "the rate to expect when a server started now would be ready",
    "per_server_rps": "the rate that one server sustains within the goal, as learned",
    "response_ms": f"what the goal is about, over the last {PRESENT_S:g} s",
    "in_flight": "requests that are being answered",
    "start_s": "seconds that a server takes to start, as learned",
    "horizon_s": "so many seconds the forecast looks ahead",
    "window_s": "seconds of fresh figures that it takes to shrink",
}


@click.command(
    cls=Verb,
    examples=(
        ("explain shop", "the last decisions about shop"),
        ("explain shop -n web --context prod", "of another namespace and cluster"),
        ("explain shop -o yaml", "for programs"),
    ),
)
@the_app
@where
@click.option(
    "-o", "--output", "form", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True
)
def explain(target: Target, app: str, form: str) -> None:
    """Print the last decisions about APP: what was decided, why, from which figures, and what was refused."""
    found = target.run(lambda api: find(api, APPS, target.namespace, app))
    if form == "text":
        click.echo(describe(found))
    else:
        click.echo(output.document(_summary(found), form), nl=False)


def _summary(app: Object) -> Mapping[str, Any]:
    status = app.get("status") or {}
    meta = app["metadata"]
    shown = {
        name: status[name]
        for name in ("edition", "goal", "servers", "conditions", "decisions")
        if name in status
    }
    return {"namespace": meta["namespace"], "name": meta["name"], **shown, "sources": _sources(app)}


def describe(app: Object) -> str:
    """The whole report as text; ``app`` as the API server returns it."""
    status = app.get("status") or {}
    parts = [_head(app, status), _conditions(status), _decisions(status), _figures(app, status)]
    return "\n\n".join("\n".join(part) for part in parts)


def _head(app: Object, status: Mapping[str, Any]) -> list[str]:
    meta, servers = app["metadata"], status.get("servers") or {}
    counts = ", ".join(
        f"{servers[k]} {k}" for k in ("desired", "ready", "starting", "draining") if k in servers
    )
    return [
        f"{meta['namespace']}/{meta['name']}  edition {status.get('edition', 'unknown')}",
        f"  goal     {status.get('goal', 'not known yet')}",
        f"  servers  {counts or 'not known yet'}",
    ]


def _conditions(status: Mapping[str, Any]) -> list[str]:
    rows = [
        f"  {c['type']:<18} {c['status']:<8} {c.get('reason', '')}: {c.get('message', '')}".rstrip(": ")
        for c in status.get("conditions") or []
    ]
    return ["Conditions", *(rows or ["  none yet: has the operator seen this app?"])]


def _decisions(status: Mapping[str, Any]) -> list[str]:
    entries = status.get("decisions") or []
    return ["Decisions, newest first", *(map(as_text, entries) if entries else ["  none yet"])]


def _figures(app: Object, status: Mapping[str, Any]) -> list[str]:
    lines = [f"  {name:<10} {says}" for name, says in _sources(app).items()]
    named = {name for entry in status.get("decisions") or () for name in entry.get("inputs") or ()}
    meanings = [f"  {name:<14} {says}" for name, says in _MEANINGS.items() if name in named]
    return ["Where the figures come from", *lines, *(["", *meanings] if meanings else [])]


def _sources(app: Object) -> Mapping[str, str]:
    """Where each kind of figure was measured, learned and recorded."""
    meta, status = app["metadata"], app.get("status") or {}
    edition = status.get("edition") or app["spec"]["edition"]
    return {
        "responses": _measured(app["spec"]["sla"]) + _freshness(status.get("conditions") or ()),
        "capacity": f"learned from those: status.learned of Edition {edition_object(meta['name'], edition)}",
        "goal": f"SLAPolicy {app['spec']['sla']['policy']}",
        "decisions": f"status.decisions of ElasticApp {meta['name']}, written by the operator at the moment of each",
    }


def _measured(sla: Mapping[str, Any]) -> str:
    if sla.get("source") != "prometheus":
        return "the routers count every request and report each second"
    told = sla["prometheus"]
    chosen = output.labels(told.get("labels"))
    return f"Prometheus, preset {told['preset']}" + (f", series with {chosen}" if chosen else "")


def _freshness(conditions: Sequence[Mapping[str, Any]]) -> str:
    found = condition(conditions, "MetricsAvailable")
    return f" ({found['reason']}: {found.get('message', '')})" if found and found["status"] != "True" else ""
