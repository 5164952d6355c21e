"""From the world as it is to what should be done: ``plan(snapshot, now_s)``, stage by stage.

A stage sees all apps, pools and nodes as the stages before it leave them, and answers with verdicts. Its place in the
list says what goes first when two things cannot both be had.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias, TypeGuard

from millpond_policies.rollouts import rollout
from millpond_policies.size import scaling
from millpond_policies.world.actions import AnyVerdict, Hold, HoldNode, Subject, SubjectKind, Verdict
from millpond_policies.world.after import after as after
from millpond_policies.world.model import Snapshot

Stage: TypeAlias = Callable[[Snapshot, float], Sequence[AnyVerdict]]

STAGES: Sequence[Stage] = (
    # health: broken capacity is replaced first, so that nobody counts on it
    rollout.stage,  # promises already made are kept: a rollout under way decides about its app alone
    scaling.stage,  # then what serves is sized for what each app needs
    # placement: then the pool is shared, by importance where it is short
    # parking: then apps that nobody asks for give up their last servers
    # power: then machines that nobody needs are switched off, and those that are needed soon are switched on
)


def plan(snapshot: Snapshot, now_s: float, stages: Sequence[Stage] = STAGES) -> tuple[AnyVerdict, ...]:
    """At least one verdict for every app that does not rest, the most important app first, then those about nodes.

    Each stage sees what the earlier ones leave. A hold is only said when no stage acts on its subject. Deterministic.
    """
    found: dict[Subject, list[AnyVerdict]] = defaultdict(list)
    for stage in stages:
        verdicts = stage(snapshot, now_s)
        for verdict in verdicts:
            found[verdict.subject].append(verdict)
        snapshot = after(snapshot, verdicts)
    apps = (app.key for app in sorted(snapshot.apps, key=lambda app: (app.importance, app.key)))
    subjects = (*(Subject(SubjectKind.APP, key) for key in apps), *_nodes(found))
    return tuple(verdict for subject in subjects for verdict in _said(found.get(subject, ())))


def of_apps(verdicts: Iterable[AnyVerdict]) -> list[Verdict]:
    """Those about apps, in their order."""
    return [v for v in verdicts if _of_app(v)]


def _of_app(verdict: AnyVerdict) -> TypeGuard[Verdict]:
    return verdict.subject.kind is SubjectKind.APP


def _nodes(subjects: Iterable[Subject]) -> list[Subject]:
    return sorted(s for s in subjects if s.kind is SubjectKind.NODE)


def _said(verdicts: Sequence[AnyVerdict]) -> Sequence[AnyVerdict]:
    actions = [v for v in verdicts if not isinstance(v, Hold | HoldNode)]
    return actions or verdicts[:1]
