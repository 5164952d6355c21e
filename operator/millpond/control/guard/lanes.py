"""Who is next when many apps wait to be written: one of each namespace in turn, so that none waits for a big one."""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping

PER_NAMESPACE = 4  # writes at once, also of what goes on in the background


def namespace_of(key: str) -> str:
    return key.partition("/")[0]


def lanes(keys: Iterable[str], late: Collection[str] = ()) -> dict[str, deque[str]]:
    """By namespace; who had to wait the last time (``late``) is first."""
    found: dict[str, deque[str]] = defaultdict(deque)
    for key in sorted(keys, key=lambda key: key not in late):
        found[namespace_of(key)].append(key)
    return found


def next_keys(waiting: Mapping[str, deque[str]], of: Counter[str], room: int, most: int) -> list[str]:
    """Taken out of ``waiting``: as many as there is ``room`` for, ``most`` of a namespace that has ``of`` already."""
    found: list[str] = []
    began = True
    while began:
        began = False
        for namespace, lane in waiting.items():
            if lane and of[namespace] < most and len(found) < room:
                found.append(lane.popleft())
                of[namespace] += 1
                began = True
    return found
