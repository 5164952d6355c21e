"""What the API server says when it refuses to make a pod: which rule it is, and what would be right. Pure.

Only what stands still is kept of its words: the name of the pod that was tried and what is used of a quota change
with every attempt.
"""

import re
from dataclasses import dataclass

from millpond_policies.reasons import Reason

LONGEST = 400  # characters of others' words


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    reason: Reason
    message: str


_TRIED = re.compile(r'^.*?pods? "[^"]*" is (forbidden|invalid): ', re.IGNORECASE)
_USED = re.compile(r", used: .*?(?=, limited: )")
_RULES = (
    (
        re.compile(r"^exceeded quota: "),
        Reason.QUOTA_EXCEEDED,
        "raise the ResourceQuota, or lower spec.servers or what the template asks for",
    ),
    (
        re.compile(r"^failed quota: .*must specify"),
        Reason.QUOTA_EXCEEDED,
        "name these resources for every container of the template",
    ),
    (
        re.compile(r"(maximum|minimum) .*(usage|limit)|limit to request ratio"),
        Reason.LIMIT_RANGE_REFUSES,
        "stay within the namespace's LimitRange, or change it",
    ),
    (
        re.compile(r"must be less than or equal to \w+ limit"),
        Reason.LIMIT_RANGE_REFUSES,
        "request no more than the limit, which is the container's own or the default of the namespace's LimitRange",
    ),
    (
        re.compile(r"violates PodSecurity"),
        Reason.POD_SECURITY_REFUSES,
        "set the securityContext that the namespace's Pod Security level demands",
    ),
    (
        re.compile(r"no PriorityClass with name"),
        Reason.PRIORITY_CLASS_NOT_FOUND,
        "create the PriorityClass, or name one that exists",
    ),
)


def refusal(said: str) -> Refusal:
    """Of the message of a refused pod, as a ReplicaSet or the API server quotes it."""
    text = _USED.sub("", _TRIED.sub("", said)).strip()
    for rule, reason, advice in _RULES:
        if rule.search(text):
            return Refusal(reason=reason, message=f"{short(text)}: {advice}")
    return Refusal(reason=Reason.PODS_REFUSED, message=short(text))


def short(text: str) -> str:
    """One line of at most ``LONGEST`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
