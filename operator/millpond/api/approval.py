"""Who submitted an edition and who approved it, as annotations that the API server guards (admission.yaml)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millpond.api.names import APPROVAL_ANNOTATION, EMERGENCY_ANNOTATION, SUBMITTER_ANNOTATION

Raw = Mapping[str, Any]
LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's word that a major edition may start."""

    by: str
    reason: str

    def text(self) -> str:
        """As it stands in the annotation: the API server wants it in this order, and names as they are."""
        return json.dumps({"by": self.by, "reason": self.reason}, ensure_ascii=False)


def granted(edition: Raw, app: Raw) -> Approval | None:
    """The approval of an Edition; None: there is none that counts.

    The API server has seen to it that the approver did not submit the Edition; here, that it is not his turn now to
    bring an older one back.
    """
    approval = _read(_annotations(edition).get(APPROVAL_ANNOTATION, ""))
    return None if approval is None or approval.by == submitter(app) else approval


def submitter(owned: Raw) -> str | None:
    """The user who gave an ElasticApp, or an Edition, the edition that it has; None: not recorded."""
    return _annotations(owned).get(SUBMITTER_ANNOTATION)


def declarer(app: Raw) -> str | None:
    """The user who declared the emergency that an ElasticApp names, as much of the name as status takes; None: not
    recorded."""
    return _annotations(app).get(EMERGENCY_ANNOTATION, "")[:LONGEST_NAME] or None


def submission(app: Raw) -> dict[str, str]:
    """The annotations that the Edition made from an ElasticApp takes over from it."""
    who = submitter(app)
    return {} if who is None else {SUBMITTER_ANNOTATION: who}


def _annotations(raw: Raw) -> Mapping[str, str]:
    found: Mapping[str, str] = raw["metadata"].get("annotations") or {}
    return found


def _read(text: str) -> Approval | None:
    try:
        found = json.loads(text)
        return Approval(by=str(found["by"]), reason=str(found["reason"])) if found["by"] else None
    except (ValueError, TypeError, KeyError, RecursionError):  # whatever somebody wrote there
        return None
