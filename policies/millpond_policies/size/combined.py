"""The load of an app while it moves from one edition to another: expected as a whole, not edition by edition.

Each edition's own forecast follows its own trend: the one that gains rises ahead of what comes, the one that loses
falls behind, and their sum is more than the app ever gets: of 64/s that move over within ten seconds, 87/s would be
expected half-way, edition by edition, and 67/s together.
"""

from collections.abc import Sequence
from dataclasses import replace

from millpond_policies.learn.learning import Memory
from millpond_policies.learn.load import Load
from millpond_policies.learn.seconds import Second

LOOKED_BACK = 64  # seconds


def combined(memories: Sequence[Memory], lead: Memory) -> Load | None:
    """The load of all editions together, learned anew from their last seconds with what ``lead`` knows of noise.

    None when at most one of them has had any requests lately: its own load says it better.
    """
    busy = [m for m in memories if m.recent and any(s.arrivals_rps for s in m.recent[-LOOKED_BACK:])]
    if len(busy) < 2:
        return None
    seconds = _together(busy)
    margin = max(m.load.margin for m in busy)
    load = Load(margin=margin, dispersion=max(m.load.dispersion for m in busy))
    for n in range(1, len(seconds) + 1):
        load = load.observe(
            seconds[:n], span_s=lead.span_s, horizon_s=lead.horizon_s, window_s=lead.shrink_window_s
        )
        expected = load.expected_rps or 0.0
        seconds[n - 1] = seconds[n - 1]._replace(expected_rps=expected)
    return replace(load, margin=margin)  # a minute seen anew teaches no margin


def _together(memories: Sequence[Memory]) -> list[Second]:
    """Seconds of the same moment added up; the routers' reports are taken for all editions at once."""
    found: dict[float, Second] = {}
    for memory in memories:
        for second in memory.recent[-LOOKED_BACK:]:
            known = found.get(second.at_s)
            arrivals = second.arrivals_rps + (known.arrivals_rps if known else 0.0)
            found[second.at_s] = second._replace(arrivals_rps=arrivals)
    return [found[at_s] for at_s in sorted(found)[-LOOKED_BACK:]]
