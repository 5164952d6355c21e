"""`millpond status APP`: all that matters about one app on one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from millpond.api.names import LABEL_APP
from millpond.cli import output
from millpond.cli.rollout.outcome import judge, to_do
from millpond.cli.rollout.view import because
from millpond.cli.show import appview
from millpond.cli.show.kinds import APPS, find
from millpond.cli.show.servers import COLOURS, Server, servers
from millpond.cli.target import Target
from millpond.cli.verb import Verb
from millpond.cli.where import the_app, where
from millpond.clock import now_s
from millpond.control.report.conditions import condition
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import Forbidden

DECISIONS = 3
_SAID = ("namespace", "app", "exitCode")  # elsewhere on the page


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An app as it was read; ``servers`` None: the caller may not see pods."""

    app: Object
    servers: Sequence[Server] | None


@click.command(
    cls=Verb,
    examples=(
        ("status shop", "one page about shop"),
        ("status shop -n web --context prod", "of another namespace and cluster"),
        ("status shop -o json", "for programs"),
    ),
)
@the_app
@where
@click.option(
    "-o", "--output", "form", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True
)
def status(target: Target, app: str, form: str) -> None:
    """Show APP on one page: its goal, its servers, its rollout, what is wrong, the last decisions.

    For machines that wait for a rollout there is `rollout status --wait`; for every figure, `explain`.
    """
    page = target.run(lambda api: _read(api, target.namespace, app))
    if form == "text":
        output.say(text(page, now_s()))
    else:
        click.echo(output.document(summary(page), form), nl=False)


async def _read(api: Api, namespace: str, name: str) -> Page:
    app = await find(api, APPS, namespace, name)
    try:
        pods = (await api.list(paths.pods(namespace), f"{LABEL_APP}={name}")).objects
    except Forbidden:
        return Page(app=app, servers=None)
    return Page(app=app, servers=servers(pods))


def summary(page: Page) -> Mapping[str, Any]:
    """The page for programs."""
    app, told = page.app, appview.status_of(page.app)
    met = condition(appview.conditions(app), "SLAMet") or {}
    return {
        "namespace": app["metadata"]["namespace"],
        "name": app["metadata"]["name"],
        "phase": appview.phase(app),
        "edition": appview.edition(app),
        "goal": {
            "says": told.get("goal"),
            "met": appview.holds(app, "SLAMet"),
            "reason": met.get("reason"),
        },
        "servers": {
            **(told.get("servers") or {}),
            **(app["spec"].get("servers") or {}),
            "list": None if page.servers is None else [server.as_json() for server in page.servers],
        },
        "rollout": {k: v for k, v in judge(app).as_json().items() if v is not None and k not in _SAID},
        "conditions": _sorted(app),
        "decisions": list(told.get("decisions") or ())[:DECISIONS],
    }


def _sorted(app: Object) -> list[Mapping[str, Any]]:
    """What is not as it should be comes first."""
    return sorted(appview.conditions(app), key=appview.concern)


def text(page: Page, at_s: float) -> str:
    """The page for people, coloured."""
    parts = [_head(page.app, at_s), _servers(page), _rollout(page.app), _conditions(page.app, at_s)]
    return "\n\n".join("\n".join(part) for part in [*parts, _decisions(page.app, at_s)])


def _head(app: Object, at_s: float) -> list[str]:
    meta, phase = app["metadata"], appview.phase(app)
    name = click.style(f"{meta['namespace']}/{meta['name']}", bold=True)
    lines = [f"{name}  {click.style(phase, fg=appview.phase_colour(phase))}"]
    lines.append(f"  goal      {_goal(app)}")
    if (response := appview.response(app, at_s)) != output.NOTHING:
        lines.append(f"  response  {response}")
    if until := appview.paused_until(app):
        lines.append(f"  paused    until {until}")
    seen, generation = appview.status_of(app).get("observedGeneration") or 0, meta["generation"]
    if seen < generation:
        text = (
            f"the operator has not seen this spec yet (generation {generation}; it has seen {seen or 'none'})"
        )
        lines.append("  " + click.style(f"note      {text}", fg="yellow"))
    return lines


def _goal(app: Object) -> str:
    goal = appview.status_of(app).get("goal") or f"that of policy {app['spec']['sla']['policy']}"
    met = condition(appview.conditions(app), "SLAMet")
    if met is None:
        return f"{goal}: not known yet whether it is met"
    word = {"True": "met", "False": "NOT met"}.get(met["status"], "not known")
    return f"{goal}: {click.style(word, fg=_colour(met))} ({met['reason']})"


def _servers(page: Page) -> list[str]:
    told = appview.status_of(page.app).get("servers") or {}
    limits = page.app["spec"].get("servers") or {}
    words = (("desired", "desired"), ("ready", "serving"), ("starting", "starting"), ("draining", "draining"))
    counts = ", ".join(f"{told[key]} {word}" for key, word in words if key in told) or "not known yet"
    lines = [f"Servers: {counts} (min {limits.get('min', '?')}, max {limits.get('max', '?')})"]
    if page.servers is None:
        return [*lines, "  which they are you may not see: it takes the right to list pods"]
    table = output.Table(("Edition", "Node", "State", "Server"), indent="  ")
    rows = [(s.edition, output.cell(s.node), _state(s), s.name) for s in page.servers]
    return [*lines, *(table.lines(rows) if rows else ())]


def _state(server: Server) -> str:
    state = click.style(server.state, fg=COLOURS.get(server.state))
    until = f" until {server.until}" if server.until else ""
    return f"{state}{until}" + (f": {server.why}" if server.why else "")


def _rollout(app: Object) -> list[str]:
    told, rollout = judge(app), appview.rollout(app)
    line = f"{rollout}: {because(told)}" if rollout else f"none; {told.edition}: {told.message}"
    return [f"Rollout: {line}", *([f"  to do     {to_do(told)}"] if to_do(told) else [])]


def _conditions(app: Object, at_s: float) -> list[str]:
    found = _sorted(app)
    if not found:
        return ["Conditions: none yet: has the operator seen this app?"]
    table = output.Table(("Condition", "Status", "Since", "Reason", "Message"), indent="  ")
    rows = [
        (c["type"], click.style(c["status"], fg=_colour(c)), appview.ago(c["lastTransitionTime"], at_s),
         c["reason"], c.get("message", "")) for c in found
    ]  # fmt: skip
    return ["Conditions, what is not as it should be first:", *table.lines(rows)]


def _colour(found: Mapping[str, Any]) -> str:
    return ("red", "yellow", "green")[appview.concern(found)]


def _decisions(app: Object, at_s: float) -> list[str]:
    told = list(appview.status_of(app).get("decisions") or ())[:DECISIONS]
    if not told:
        return ["Decisions: none yet"]
    table = output.Table(("When", "Decision", "Reason", "What"), indent="  ")
    rows = [(appview.ago(d["at"], at_s), d["action"], _reason(d), d.get("message", "")) for d in told]
    return ["Decisions, newest first (with every figure: explain):", *table.lines(rows)]


def _reason(decision: Mapping[str, Any]) -> str:
    limit = decision.get("limitedBy")
    return str(decision["reason"]) + (f", {limit}" if limit and limit != decision["reason"] else "")
