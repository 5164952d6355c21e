"""Events about what a cycle found: editions that are made and retire, servers that do not come."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from millpond.control.observe.troubles import Trouble
from millpond.control.report.appevents import event
from millpond.control.resolve.candidates import Candidate
from millpond.control.resolve.record import Record
from millpond.kube.events import Event, Events
from millpond_policies.reasons import Reason

_Key = tuple[str, str]  # app UID, edition


@dataclass(slots=True)
class News:
    """Says what changed since it said something last: what lasts is in the conditions."""

    _troubles: dict[_Key, Trouble] = field(default_factory=dict)
    _states: dict[_Key, str] = field(default_factory=dict)

    def tell(self, events: Events, record: Record) -> None:
        """About one app."""
        app = record.app
        for name, raw in record.editions.items():
            about = (app.uid, name)
            state = str((raw.get("status") or {}).get("state") or "")
            if self._states.get(about, "Retired") != state == "Retired":
                events.post(_retired(app, name))
            self._states[about] = state
            found = record.troubles.get(name)
            if found is None or found.reason is None:
                self._troubles.pop(about, None)
            elif self._troubles.get(about) != found:
                events.post(_troubled(app, name, found, found.reason))
                self._troubles[about] = found

    def forget_others(self, uids: Iterable[str]) -> None:
        """Apps that are gone."""
        alive = set(uids)
        self._troubles = {about: found for about, found in self._troubles.items() if about[0] in alive}
        self._states = {about: state for about, state in self._states.items() if about[0] in alive}


def created(events: Events, app: Candidate, editions: Iterable[str]) -> None:
    for name in editions:
        events.post(
            event(app, Reason.EDITION_CREATED, f"edition {name} was made from spec.template", (name,))
        )


def _retired(app: Candidate, name: str) -> Event:
    return event(app, Reason.EDITION_RETIRED, f"edition {name} has no servers any more", (name,))


def _troubled(app: Candidate, name: str, found: Trouble, reason: Reason) -> Event:
    text = f"edition {name}: {found.message}"
    return event(app, reason, text, (name, found.message), warning=True)
