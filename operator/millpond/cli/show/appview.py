"""What people want to know of an app at one glance, from the object as the API server returns it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from millpond.cli.output import NOTHING, age
from millpond.clock import from_rfc3339
from millpond.control.report.conditions import condition
from millpond.kube.client import Object
from millpond_policies.reasons import Reason

GOOD_WHEN_TRUE = frozenset({"Ready", "SLAMet", "MetricsAvailable"})
UNDER_WAY = frozenset({"Draining", "RollingOut", "Parked"})  # neither good nor bad

# The first that is True gives the app its phase.
_PHASES = ("Contested", "Paused", "Parked", "Limited", "Yielding", "RollingOut", "Draining")
_COLOURS = {
    "Serving": "green",
    "RollingOut": "cyan",
    "Draining": "cyan",
    "Paused": "yellow",
    "Parked": "blue",
}


def status_of(app: Object) -> Mapping[str, Any]:
    return app.get("status") or {}


def conditions(app: Object) -> Sequence[Mapping[str, Any]]:
    return status_of(app).get("conditions") or ()


def holds(app: Object, kind: str) -> bool | None:
    """None: unknown, or nobody has said."""
    found = condition(conditions(app), kind)
    return {"True": True, "False": False}.get(found["status"]) if found else None


def phase(app: Object) -> str:
    """One word: Serving, or what keeps it from that, or what is going on with it."""
    if "deletionTimestamp" in app["metadata"]:
        return "Deleting"
    ready = condition(conditions(app), "Ready")
    if ready is None:
        return "NotSeenYet"
    if ready["status"] != "True":
        return str(ready["reason"])
    if holds(app, "SLAMet") is False:
        return str(Reason.GOAL_EXCEEDED)
    return next((kind for kind in _PHASES if holds(app, kind)), "Serving")


def phase_colour(word: str) -> str:
    return _COLOURS.get(word, "red" if word[:1].isupper() and word != "NotSeenYet" else "yellow")


def edition(app: Object) -> str | None:
    """The one that serves, else the one that is wanted."""
    found = status_of(app).get("edition") or app["spec"].get("edition")
    return str(found) if found else None


def decision(app: Object) -> Mapping[str, Any] | None:
    """The newest."""
    return next(iter(status_of(app).get("decisions") or ()), None)


def last_decision(app: Object, now_s: float) -> str:
    found = decision(app)
    return f"{found['action']}: {found['reason']} ({ago(found['at'], now_s)})" if found else NOTHING


def response(app: Object, now_s: float) -> str:
    """What the newest decision that knew it says; status never holds a figure that moves every second."""
    for found in status_of(app).get("decisions") or ():
        told = (found.get("inputs") or {}).get("response_ms", "unknown")
        if told != "unknown" and found["edition"] == edition(app):
            return f"{told} ms ({ago(found['at'], now_s)})"
    return NOTHING


def limiting(app: Object) -> str | None:
    """Why it gets less than it needs."""
    found = condition(conditions(app), "Limited")
    return str(found["reason"]) if found and found["status"] == "True" else None


def paused_until(app: Object) -> str | None:
    return (app["spec"].get("paused") or {}).get("until") if holds(app, "Paused") else None


def rollout(app: Object) -> str | None:
    """v1→v2 Progressing 1/3 10%"""
    found = status_of(app).get("rollout")
    if not found:
        return None
    way = f"{found['from']}→{found['edition']}" if found.get("from") else str(found["edition"])
    if not holds(app, "RollingOut"):
        return f"{way} {found['phase']}"
    return f"{way} {found['phase']} {found.get('step', 0)}/{found.get('steps', 0)} {found.get('weight', 0)}%"


def host(app: Object) -> str | None:
    hosts = [route["host"] for route in app["spec"].get("routes") or () if route.get("host")]
    return hosts[0] + (f" (+{len(hosts) - 1})" if len(hosts) > 1 else "") if hosts else None


def ago(at: str, now_s: float) -> str:
    return f"{age(now_s - from_rfc3339(at))} ago"


def concern(found: Mapping[str, Any]) -> int:
    """For sorting: 0 not as it should be, 1 under way or unknown, 2 as it should be."""
    if found["status"] == "Unknown" or (found["type"] in UNDER_WAY and found["status"] == "True"):
        return 1
    good = found["type"] in GOOD_WHEN_TRUE
    return 2 if (found["status"] == "True") is good else 0
