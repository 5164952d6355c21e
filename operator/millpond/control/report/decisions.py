"""Verdicts as they are kept in ElasticApp.status.decisions, and those entries as text for people."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from millpond.api.kinds.status import Decision
from millpond.clock import rfc3339
from millpond.kube.raw import entries
from millpond_policies.world.actions import (
    CancelRetire,
    CancelStarting,
    Grow,
    Hold,
    Input,
    Retire,
    Steer,
    Verdict,
)

KEPT = 20
LONGEST = 16_384  # characters of a decision as it stands on what it changed
Entry = dict[str, Any]


def entry(verdict: Verdict, now_s: float) -> Entry:
    """{at, edition, action, reason, servers, wanted, needed?, limitedBy?, inputs{}, refused[], message}"""
    because = verdict.because
    recorded: Entry = {
        "at": rfc3339(now_s),
        "edition": verdict.edition,
        "action": type(verdict).__name__,
        "reason": because.reason.value,
        "servers": because.servers,
        "wanted": because.wanted,
        "inputs": {name: _text(value) for name, value in because.inputs},
        "refused": [{"servers": r.servers, "reason": r.reason.value} for r in because.refused],
        "message": _message(verdict),
    }
    if because.needed is not None:
        recorded["needed"] = because.needed
    if because.limited_by is not None:
        recorded["limitedBy"] = because.limited_by.value
    return recorded


def record(decisions: Sequence[Mapping[str, Any]], verdict: Verdict, now_s: float) -> list[Entry]:
    """The decisions with this verdict first if it is news about its edition; else equal to the given."""
    before = [dict(d) for d in entries(decisions)]
    new = entry(verdict, now_s)
    newest = next((d for d in before if d.get("edition") == verdict.edition), None)
    if newest is not None and _gist(newest) == _gist(new):
        return before
    return [new, *before][:KEPT]


def recalled(decisions: Sequence[Mapping[str, Any]], written: Iterable[str]) -> list[Entry]:
    """The decisions, and before them those that were carried out right before a crash, so never recorded.

    ``written``: what stands on the objects that decisions changed; what is no decision is left out.
    """
    before = [dict(d) for d in entries(decisions)]
    latest = str(before[0].get("at", "")) if before else ""
    found = [made for text in written if (made := _cache.read(text)) is not None and made["at"] > latest]
    lost = [made for made in found if not _is_newest(made, before)]
    return [*sorted(lost, key=lambda d: str(d["at"]), reverse=True), *before][:KEPT]


def _is_newest(made: Entry, decisions: Iterable[Entry]) -> bool:
    newest = next((d for d in decisions if d.get("edition") == made["edition"]), None)
    return newest is not None and _gist(newest) == _gist(made)


class _DecisionCache:
    """Decisions by their text, the last ones used, together no larger than ``most`` characters."""

    def __init__(self, most: int = 16 * 1024 * 1024) -> None:
        self._most = most
        self._entries: OrderedDict[str, Entry | None] = OrderedDict()
        self.size = 0

    def read(self, text: str) -> Entry | None:
        """None for what is no decision of ours, whatever else it is."""
        if len(text) > LONGEST:
            return None
        if text not in self._entries:
            self._entries[text] = _read(text)
            self.size += len(text)
        self._entries.move_to_end(text)
        while self.size > self._most:
            self.size -= len(self._entries.popitem(last=False)[0])
        return self._entries.get(text)


def _read(text: str) -> Entry | None:
    try:
        return Decision.model_validate_json(text).model_dump(mode="json", by_alias=True, exclude_none=True)
    except (ValueError, RecursionError):
        return None


_cache = _DecisionCache()


def _gist(recorded: Mapping[str, Any]) -> tuple[object, ...]:
    """What makes a decision another one. The figures behind it move all the time and don't."""
    action = recorded.get("action")
    target = None if action == Hold.__name__ else recorded.get("message", "")
    return action, recorded.get("reason"), recorded.get("wanted"), target


def _message(verdict: Verdict) -> str:
    now = verdict.because.servers
    match verdict:
        case Grow(to=to):
            return f"order {to - now} more: {now} → {to} servers"
        case CancelStarting(to=to):
            return f"take back {now - to} that do not serve yet: {now} → {to} servers"
        case Retire(name=name):
            return f"drain {name}, then delete it: {now} → {now - 1} servers"
        case CancelRetire(name=name):
            return f"let {name} serve again: {now} servers"
        case Steer(to=to):
            return f"rollout of {to.edition} {to.phase.value}, step {to.step}, {to.weight} %: {to.message}"
        case Hold():
            return f"stay at {now} {'server' if now == 1 else 'servers'}"


def _text(value: Input) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def as_text(recorded: Mapping[str, Any]) -> str:
    """One decision in a few lines: what, why, from which figures, what else was looked at and refused."""
    lines = [f"{recorded['at']}  {recorded['action']}  {recorded.get('message', '')}".rstrip()]
    lines.append(f"    because   {recorded['reason']}{_sizes(recorded)}")
    if recorded.get("limitedBy"):
        lines.append(f"    limit     {recorded['limitedBy']}")
    if recorded.get("inputs"):
        lines.append("    inputs    " + ", ".join(f"{k}={v}" for k, v in sorted(recorded["inputs"].items())))
    for option in recorded.get("refused", []):
        lines.append(f"    refused   {option['servers']} servers: {option['reason']}")
    return "\n".join(lines)


def _sizes(recorded: Mapping[str, Any]) -> str:
    needed = f"needed {recorded['needed']}, " if recorded.get("needed") is not None else ""
    return f" ({needed}wanted {recorded['wanted']}, ordered {recorded['servers']})"
