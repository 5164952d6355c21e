"""What each strategy asks of every stage of a rollout."""

from dataclasses import dataclass
from math import ceil

from millpond_policies.world.release import Way
from millpond_policies.world.strategy import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """``new`` servers must serve before it begins; ``old`` ones are kept while it lasts."""

    weight: int  # percent of new sessions
    new: int
    old: int
    pause_s: float = 0.0
    approval: bool = False
    judged: bool = False  # left only when the new edition was found sound


def stages(way: Way, servers: int) -> tuple[Stage, ...]:
    """The stages of a rollout of ``servers`` servers, in order. The last one carries all new sessions.

    Rolling in groups of 2 with 5 servers: 2 new and 3 old at 40 %, 4 and 1 at 80 %, 5 new at 100 % (and, until the
    soak is over, the last old one still there).
    """
    match way.strategy:
        case Strategy.ROLLING:
            return _groups(way, servers)
        case Strategy.CANARY:
            steps = tuple(
                Stage(
                    weight=step.weight,
                    new=max(1, ceil(servers * step.weight / 100)),
                    old=servers,
                    pause_s=step.pause_s,
                    approval=step.approval,
                    judged=True,
                )
                for step in way.steps
            )
            return (*steps, _last(way, servers, servers))
        case Strategy.ATOMIC | Strategy.BLUE_GREEN:
            return (_last(way, servers, servers),)


def count(way: Way, servers: int) -> int:
    """Stages with the one that carries everything, which is the last."""
    return len(stages(way, servers))


def _groups(way: Way, servers: int) -> tuple[Stage, ...]:
    moved = range(way.group, servers, way.group)
    found = tuple(Stage(weight=round(100 * n / servers), new=n, old=servers - n) for n in moved)
    left = servers - moved[-1] if moved else servers
    return (*found, _last(way, servers, left))


def _last(way: Way, servers: int, old: int) -> Stage:
    return Stage(weight=100, new=servers, old=old, pause_s=way.soak_s)
