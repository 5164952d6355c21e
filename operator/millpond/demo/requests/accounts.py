"""Compares what a traffic got with what the servers wrote down: each request exactly once, no session moved."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from millpond.demo.requests.answers import Answer
from millpond.demo.requests.tally import Outcome

Processed = Mapping[str, Sequence[str]]
"""Request id -> the servers that worked on it, one entry for each time."""
_SHOWN = 5


def read_ledgers(folder: Path, id_prefix: str) -> Processed:
    """The sample application's ledger files (`<server>-<process id>.log`), requests of other traffics left out."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.glob("*.log")):
        server = path.stem.rpartition("-")[0]
        for id in path.read_text().splitlines():
            if id.startswith(f"{id_prefix}-"):
                found[id].append(server)
    return found


def faults(
    answers: Sequence[Answer], processed: Processed, *, one_edition: bool = True, one_server: bool = True
) -> Sequence[str]:
    """A sentence for each kind of fault, with the first offending ids, servers and seconds; empty: none.

    `one_edition`, `one_server`: each session was answered by one edition, and by servers that knew it.
    """
    found = {
        "failed": [f"{_at(a)}: {_failure(a)}" for a in answers if a.outcome is not Outcome.OK],
        "answered, but worked on by no server": [_at(a) for a in answers if _is_lost(a, processed)],
        "worked on more than once": _doubled(answers, processed),
        "worked on, but never sent": sorted(processed.keys() - {a.id for a in answers}),
        "answered with something else": [f"{_at(a)}: {a.mismatch}" for a in answers if a.mismatch],
        "sessions on several editions": _moves(answers) if one_edition else [],
        "unknown to the server of their session": [
            f"{_at(a)}, session {a.session}" for a in answers if a.forgotten
        ]
        if one_server
        else [],
    }
    return [_sentence(kind, cases) for kind, cases in found.items() if cases]


def _sentence(kind: str, cases: Sequence[str]) -> str:
    more = f"; and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else ""
    return f"{len(cases)} {kind}: {'; '.join(cases[:_SHOWN])}{more}"


def _at(answer: Answer) -> str:
    by = f" by {answer.server}" if answer.server else ""
    return f"{answer.id}{by} in second {int(answer.t_s)}"


def _failure(answer: Answer) -> str:
    what = f"status {answer.status}" if answer.status else answer.outcome.value
    return f"{what} after {answer.took_s:.1f} s"


def _is_lost(answer: Answer, processed: Processed) -> bool:
    return answer.outcome is Outcome.OK and not processed.get(answer.id)


def _doubled(answers: Iterable[Answer], processed: Processed) -> Sequence[str]:
    twice = [(a, processed[a.id]) for a in answers if len(processed.get(a.id, ())) > 1]
    return [f"{_at(answer)}: by {', '.join(servers)}" for answer, servers in twice]


def _moves(answers: Iterable[Answer]) -> Sequence[str]:
    """The first request of each session that another edition answered than the one before, in order of sending."""
    before: dict[str, Answer] = {}
    moved: dict[str, str] = {}
    for answer in sorted(answers, key=lambda a: a.t_s):
        if not answer.session or answer.outcome is not Outcome.OK:
            continue
        last = before.setdefault(answer.session, answer)
        if last.edition != answer.edition:
            moved.setdefault(
                answer.session, f"{answer.session} from {last.edition} to {answer.edition} with {_at(answer)}"
            )
        before[answer.session] = answer
    return list(moved.values())
