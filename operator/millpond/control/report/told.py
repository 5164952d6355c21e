"""One line of the log for each verdict that is acted on, with its parts as fields."""

import json
import logging
import re
from collections.abc import Mapping

from millpond_policies.world.actions import CancelStarting, Grow, Retire, Steer, Verdict

log = logging.getLogger("millpond.verdicts")
_PLAIN = re.compile(r"[\w./:%-]+", re.ASCII)
Field = str | int | None


def tell(verdict: Verdict) -> None:
    """``fields`` of the log record are for a formatter that writes JSON."""
    found = fields(verdict)
    log.info("%s", as_text(found), extra={"fields": found})


def fields(verdict: Verdict) -> dict[str, Field]:
    """app, edition, verdict, reason, needed, from, to; and the server, or where a rollout is."""
    because = verdict.because
    more: dict[str, Field] = {}
    if (server := getattr(verdict, "name", None)) is not None:
        more["server"] = str(server)
    if isinstance(verdict, Steer):
        more |= {"phase": verdict.to.phase.value, "step": verdict.to.step, "weight": verdict.to.weight}
    return {
        "app": verdict.app,
        "edition": verdict.edition,
        "verdict": type(verdict).__name__,
        "reason": because.reason.value,
        "needed": because.needed,
        "from": because.servers,
        "to": _to(verdict),
        **more,
    }


def _to(verdict: Verdict) -> int:
    """Servers that are ordered from now on."""
    if isinstance(verdict, (Grow, CancelStarting)):
        return verdict.to
    return verdict.because.servers - isinstance(verdict, Retire)


def as_text(found: Mapping[str, Field]) -> str:
    """app=shop/cart edition=v1 …: whatever a value holds, it stays one line and one value."""
    return " ".join(f"{name}={_value(value)}" for name, value in found.items() if value is not None)


def _value(value: Field) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
