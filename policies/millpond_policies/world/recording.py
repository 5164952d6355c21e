"""One plan with all that it saw, as text: what replays, explains and simulates it later reads it here.

    load(dump(Recording(now_s=now_s, snapshot=snapshot, verdicts=plan(snapshot, now_s))))

gives the same values, and so ``plan`` of them gives the same verdicts.
"""

import json
from dataclasses import dataclass
from typing import Any

from millpond_policies.world.actions import AnyVerdict
from millpond_policies.world.codec import Unreadable as Unreadable
from millpond_policies.world.codec import reader, writer
from millpond_policies.world.model import Snapshot

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    now_s: float  # epoch seconds
    snapshot: Snapshot
    verdicts: tuple[AnyVerdict, ...] = ()


def dump(recording: Recording) -> str:
    """JSON on one line, in ASCII."""
    raw = {"version": VERSION, **writer(Recording)(recording)}
    return json.dumps(raw, allow_nan=False, separators=(",", ":"))


def load(text: str) -> Recording:
    """The reverse of ``dump``; raises Unreadable, which names the field, for any other text."""
    raw = _parsed(text)
    version = raw.pop("version", None)
    if type(version) is not int or version != VERSION:
        raise Unreadable(f"{VERSION} is the version that can be read, not {version!r:.40}").inside("version")
    found: Recording = reader(Recording)(raw)
    return found


def _parsed(text: str) -> dict[str, Any]:
    try:
        raw = json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"no JSON: {error}") from None
    if not isinstance(raw, dict):
        raise Unreadable("an object is wanted")
    return raw


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
