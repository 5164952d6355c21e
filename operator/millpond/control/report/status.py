"""From what is known of an app to its status: conditions, counts and the last decisions. Pure; written on change."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from millpond.api.names import LABEL_APP
from millpond.control.guard.faults import Fault
from millpond.control.report.conditions import bounded, with_condition, with_fault
from millpond.control.report.counts import counts
from millpond.control.report.decisions import recalled
from millpond.control.report.decisions import record as with_decision
from millpond.control.report.facts import facts, goal_text
from millpond.control.resolve.claims import dump
from millpond.control.resolve.record import Record
from millpond.kube.raw import entries
from millpond_policies.reasons import Reason
from millpond_policies.world.actions import Hold, Steer, Verdict
from millpond_policies.world.model import App

# Holds that come and go with the noise of steady traffic: they are answers, but no news.
QUIET_HOLDS = frozenset(
    {
        Reason.STEADY,
        Reason.STARTING_SERVERS_COUNT,
        Reason.SHRINK_WINDOW_OPEN,
        Reason.DRAIN_IN_PROGRESS,
        Reason.AT_FLOOR,
        Reason.NO_SAMPLES,
        Reason.EDITION_SWAP,
    }
)


def status(
    record: Record,
    view: App | None,
    verdicts: Iterable[Verdict],
    now_s: float,
    trouble: str | None = None,
    fault: Fault | None = None,
) -> dict[str, Any]:
    """The status that the app should have, but for its rollout; equal to the present one when nothing is new."""
    app, before, verdicts = record.app, record.app.status, tuple(verdicts)
    conditions = with_fault(bounded(before.get("conditions")), app.generation, fault, now_s)
    for fact in facts(record, view, conditions, verdicts, now_s, trouble):
        conditions = with_condition(
            conditions, fact.type, fact.holds, fact.reason, fact.message, app.generation, now_s
        )
    decisions: Sequence[Mapping[str, Any]] = recalled(entries(before.get("decisions")), _written(record))
    for verdict in verdicts:
        if not isinstance(verdict, Hold) or verdict.because.reason not in QUIET_HOLDS:
            decisions = with_decision(decisions, verdict, now_s)
    servers = counts(app, record.held, view, now_s)
    return {
        **{k: v for k, v in before.items() if k in ("edition",)},
        "observedGeneration": app.generation,
        **_edition(record, verdicts),
        "claims": dump(app.claims, now_s),
        "goal": goal_text(app.goal) if app.goal else "",
        "replicas": servers.there,
        "selector": f"{LABEL_APP}={app.name}",
        "servers": {
            "desired": servers.desired,
            "ready": servers.ready,
            "starting": servers.starting,
            "draining": servers.draining,
        },
        "conditions": conditions,
        "decisions": decisions,
    }


def _edition(record: Record, verdicts: Sequence[Verdict]) -> dict[str, str]:
    """The edition that serves, once it is known."""
    done = next((v.to.edition for v in verdicts if isinstance(v, Steer) and v.to.completed), None)
    serves = done or record.active
    return {"edition": serves} if serves else {}


def _written(record: Record) -> Iterable[str]:
    """The decisions that stand on what they changed."""
    texts = (*(owned.decision for owned in record.sets.values()), *(pod.decision for pod in record.pods))
    return [text for text in texts if text is not None]
