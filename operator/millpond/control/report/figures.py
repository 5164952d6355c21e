"""What Prometheus is shown of each app: one that has a problem is not left out, or no alert could tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from millpond.control.guard.each import Each
from millpond.control.observe.world import Holdings, World
from millpond.control.outcome import Outcome
from millpond.control.report.counts import counts
from millpond.control.report.metrics import AppFigures
from millpond.control.resolve.candidates import Candidate
from millpond_policies.learn.windows import SHOWN_S
from millpond_policies.world.model import App


@dataclass(slots=True)
class Figures:
    """Of all apps. Of one that nothing can be counted of now, what was counted last."""

    _known: dict[str, AppFigures] = field(default_factory=dict)

    def all(
        self, outcome: Outcome, candidates: Mapping[str, Candidate], world: World, each: Each
    ) -> Mapping[str, AppFigures]:
        records, unseen = outcome.records, candidates.keys() - outcome.records.keys()
        held = world.holdings() if unseen else {}

        def look(key: str) -> AppFigures:
            if key in unseen:  # it failed the first time that it was looked at
                return figures(candidates[key], held.get(key) or Holdings(), None, outcome.at_s)
            return figures(records[key].app, records[key].held, outcome.apps.get(key), outcome.at_s)

        new = each.look("figures", sorted(unseen | (outcome.due & records.keys())), look)
        self._known = {key: f for key in candidates if (f := new.get(key) or self._known.get(key))}
        return self._known


def figures(app: Candidate, held: Holdings, view: App | None, now_s: float) -> AppFigures:
    servers = counts(app, held, view, now_s)
    edition = view.view(view.active) if view else None
    response_ms = edition.memory.response_ms(view.goal, now_s, SHOWN_S) if view and edition else None
    return AppFigures(desired=servers.desired, ready=servers.ready, response_ms=response_ms)
