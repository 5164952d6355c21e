"""Over how long the response time of an edition is taken: each window once, by what it is for.

A window is short where a burst must show at once, and long where chance must not decide. Two are not here: whether the
goal holds (the condition SLAMet) is said over the policy's own violation period, and an edition that is being rolled
out is judged by all that was seen since its step began (`Evidence`).
"""

PRESENT_S = 5.0
"""What a decision records as the response time now, and what a trial of more servers begins with."""
SHOWN_S = 10.0
"""What metrics show: short enough for a burst to be seen by who scrapes every few seconds."""
MISSED_S, MISSED_HORIZONS = 10.0, 2
"""A goal is called missed when it was exceeded for so long, and for so many starts of a server."""
RECOVERED = 10
"""Of the newest samples: while they exceed the goal, no server is given back."""


def missed_s(horizon_s: float) -> float:
    """Seconds for which a goal must have been exceeded throughout: 3 s to start a server -> 10 s; 20 s -> 40 s."""
    return max(MISSED_S, MISSED_HORIZONS * horizon_s)
