"""The timeline of a run with rollouts: how far each was, load, response time, and every edition's share and servers."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from millpond.demo.recording import EditionSecond, Moment, Recording
from millpond.demo.requests.tally import Outcome
from millpond.demo.scenario import Check, Scenario
from millpond.demo.show import picture
from millpond.demo.show.picture import GRID, INK, PALE
from millpond.demo.show.rollout_view import colour_of
from millpond_policies.world.release import Phase

_COLOURS = ("#3b7dd8", "#3a9d6e", "#d1495b", "#8e5ea2", "#c98a1b")
_BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 1, "pad": 1.5}
_NONE = EditionSecond()
_AROUND_S, _TELLING = 2, 20
"""An edition's own response is averaged over so many seconds before and after, if it got so many requests in them."""
_LETTER = 0.0075
"""Of the picture's width: what a letter of a step's label takes."""


def draw(scenario: Scenario, run: Recording, checks: Sequence[Check], file: Path) -> None:
    """Writes a PNG of 1650 x 1500 pixels."""
    with matplotlib.rc_context(picture.STYLE):
        figure = Figure(figsize=(11, 10), dpi=150, layout="constrained")
        panels = figure.subplots(5, 1, sharex=True, height_ratios=(1.7, 1, 2.4, 2.2, 2))
        rollouts, load, response, share, servers = panels
        end_s = float(max(1, len(run.seconds)))
        _draw_rollouts(rollouts, run, end_s)
        picture.draw_load(load, run)
        picture.draw_response(response, scenario, run, INK)
        _draw_each_response(response, run)
        _draw_share(share, run)
        _draw_servers(servers, run)
        _mark_steps(panels, run)
        rollouts.set_title(scenario.title, loc="left", fontsize=13, fontweight="bold", pad=24)
        rollouts.text(0, 1.08, picture.summary(run, checks), transform=rollouts.transAxes, color=PALE)
        servers.set_xlabel("seconds since the load began")
        servers.set_xlim(0, end_s)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)


def colour(edition: str) -> str:
    return colour_of(edition, _COLOURS)


def rollouts(run: Recording) -> list[list[Moment]]:
    """The moments of each rollout, in order of time."""
    found: list[list[Moment]] = []
    for moment in run.moments:
        if found and found[-1][-1].edition == moment.edition:
            found[-1].append(moment)
        else:
            found.append([moment])
    return found


def _draw_rollouts(axes: Any, run: Recording, end_s: float) -> None:
    """A row for each: a bar for each step with its share, then how it ended and why."""
    found = rollouts(run)
    for row, moments in enumerate(found):
        for start, end in _steps(moments):
            _draw_step(axes, row, start, end, _mostly(moments, start, end), end_s)
        _tell_end(axes, row, moments, end_s)
    axes.set_ylim(max(1, len(found)) - 0.45, -0.55)
    axes.set_yticks(range(len(found)), [_way(moments[0]) for moments in found], color=INK)
    axes.tick_params(axis="y", length=0)
    axes.grid(False)
    axes.spines["left"].set_visible(False)


def _way(first: Moment) -> str:
    return f"{first.origin} → {first.edition}\n{first.strategy}"


def _steps(moments: Sequence[Moment]) -> list[tuple[Moment, Moment]]:
    """(its first moment, the first one of the next or the last of all) of each step."""
    firsts = [m for n, m in enumerate(moments) if n == 0 or _place(moments[n - 1]) != _place(m)]
    ends = [*firsts[1:], moments[-1]]
    return [(a, b) for a, b in zip(firsts, ends, strict=True) if b.t_s > a.t_s]


def _mostly(moments: Sequence[Moment], start: Moment, end: Moment) -> str:
    """The reason that stood for the longest in this step."""
    within = [m for m in moments if start.t_s <= m.t_s < end.t_s]
    lasted = {m: after.t_s - m.t_s for m, after in zip(within, [*within[1:], end], strict=True)}
    return max(lasted, key=lambda m: lasted[m]).reason


def _place(moment: Moment) -> tuple[int, int, bool]:
    return moment.step, moment.weight, Phase(moment.phase).final


def _draw_step(axes: Any, row: int, start: Moment, end: Moment, reason: str, end_s: float) -> None:
    """With its share, and below it what it lasted for, where there is room."""
    lasts_s = end.t_s - start.t_s
    strength = 0.12 + 0.6 * start.weight / 100
    axes.barh(row, lasts_s, left=start.t_s, height=0.74, color=colour(start.edition), alpha=strength)
    share = f"{start.weight} %" if start.weight else "starts"
    told = lasts_s >= 0.8 * len(reason) * _LETTER * end_s
    for text, below, size in ((share, -0.15 if told else 0.0, 8.5), (reason if told else "", 0.19, 6.8)):
        if lasts_s >= 0.8 * len(text) * _LETTER * end_s:
            axes.text(start.t_s + lasts_s / 2, row + below, text, ha="center", va="center", fontsize=size)


def _tell_end(axes: Any, row: int, moments: Sequence[Moment], end_s: float) -> None:
    """To the right of its bar, or to the left where there is no room."""
    last = moments[-1]
    good = last.phase == Phase.COMPLETED
    text = f"{'✔' if good else '✘' if Phase(last.phase).final else '…'} {last.phase}: {last.reason}"
    tone = colour(last.edition) if good else "#d1495b"
    right = last.t_s < 0.72 * end_s
    at_s = last.t_s + 0.006 * end_s if right else moments[0].t_s - 0.006 * end_s
    axes.text(
        at_s,
        row,
        text,
        ha="left" if right else "right",
        va="center",
        color=tone,
        fontsize=9.5,
        fontweight="bold",
    )


def _mark_steps(panels: Sequence[Any], run: Recording) -> None:
    """A line through all panels where the share of an edition changes."""
    for moments in rollouts(run):
        for start, _ in _steps(moments):
            for axes in panels:
                axes.axvline(start.t_s, color=PALE, linewidth=0.7, linestyle=":", zorder=0.5)
        for axes in panels:
            axes.axvline(moments[-1].t_s, color=colour(moments[-1].edition), linewidth=0.9, linestyle=":")


def _editions(run: Recording) -> list[str]:
    return sorted({name for second in run.seconds for name in second.editions})


def _draw_each_response(axes: Any, run: Recording) -> None:
    """What each edition's own users met, besides all of them."""
    most = axes.get_ylim()[1]
    for name in _editions(run):
        own = _own_response(run, name)
        axes.plot([s.t_s + 0.5 for s in run.seconds], own, color=colour(name), linewidth=1.2, label=name)
        most = max([most, *(1.2 * ms for ms in own if ms == ms)])
    axes.set_ylim(0, most)
    axes.legend(loc="upper left", frameon=False, ncols=5)


def _own_response(run: Recording, edition: str) -> list[float]:
    """Milliseconds on average in each second, not a number where too few requests were sent to mean anything.

    By when they were sent: an edition that gets fewer and fewer still answers the slow ones of before.
    """
    took_ms: defaultdict[int, list[float]] = defaultdict(list)
    for answer in run.answers:
        if answer.edition == edition and answer.outcome is Outcome.OK:
            took_ms[int(answer.t_s)].append(1000 * answer.took_s)
    around = range(-_AROUND_S, _AROUND_S + 1)
    windows = [[ms for n in around for ms in took_ms[s.t_s + n]] for s in run.seconds]
    return [sum(found) / len(found) if len(found) >= _TELLING else float("nan") for found in windows]


def _draw_share(axes: Any, run: Recording) -> None:
    names, times = _editions(run), [s.t_s + 0.5 for s in run.seconds]
    shares = [[100 * s.share(name) for s in run.seconds] for name in names]
    if names:
        tones = [colour(name) for name in names]
        axes.stackplot(times, shares, labels=names, colors=tones, alpha=0.55, linewidth=0, step="mid")
    axes.set_ylim(0, 100)
    axes.set_ylabel("share of requests\n%")


def _draw_servers(axes: Any, run: Recording) -> None:
    """Ready ones in full colour, starting and draining ones pale above them."""
    times = [float(s.t_s) + 1 for s in run.seconds]
    base = [0.0] * len(times)
    for name in _editions(run):
        found = [s.editions.get(name, _NONE) for s in run.seconds]
        for counts, alpha, label in (
            ([e.ready for e in found], 0.7, name),
            ([e.starting + e.draining for e in found], 0.25, None),
        ):
            top = [b + n for b, n in zip(base, counts, strict=True)]
            axes.fill_between(
                times, base, top, step="pre", color=colour(name), alpha=alpha, linewidth=0, label=label
            )
            base = top
    most = round(max([*_all_servers(run), 1]))
    axes.set_ylim(0, most + 1.2)
    axes.set_yticks(range(most + 1))
    axes.set_ylabel("servers\n(pale: start, drain)")
    axes.grid(True, color=GRID)
    if run.seconds:
        axes.legend(loc="upper right", frameon=False, ncols=5)


def _all_servers(run: Recording) -> list[int]:
    """All servers in each second, also those that start or drain."""
    return [sum(e.ready + e.starting + e.draining for e in s.editions.values()) for s in run.seconds]
