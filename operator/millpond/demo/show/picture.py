"""The timeline of a run as a picture: load, response time against the goal, servers, and what was decided."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from millpond.demo.recording import Decision, Order, Recording
from millpond.demo.scenario import Check, Scenario

matplotlib.use("Agg")

INK, PALE, GRID = "#22313f", "#7b8794", "#e6eaee"
_LOAD, _RESPONSE, _GOAL, _READY, _DESIRED = "#3b7dd8", "#0f8b8d", "#d1495b", "#7cb68a", "#22313f"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": PALE,
    "ytick.color": PALE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "axes.axisbelow": True,
}


def draw(scenario: Scenario, run: Recording, checks: Sequence[Check], file: Path) -> None:
    """Writes a PNG of 1650 x 1200 pixels."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 8), dpi=150, layout="constrained")
        load, response, servers = figure.subplots(3, 1, sharex=True, height_ratios=(2, 3, 3))
        draw_load(load, run)
        draw_response(response, scenario, run)
        _draw_servers(servers, run)
        _mark_orders((load, response, servers), run)
        load.set_title(scenario.title, loc="left", fontsize=13, fontweight="bold", pad=24)
        load.text(0, 1.08, summary(run, checks), transform=load.transAxes, color=PALE)
        servers.set_xlabel("seconds since the load began")
        servers.set_xlim(0, max(1, len(run.seconds)))
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)


def summary(run: Recording, checks: Sequence[Check]) -> str:
    passed = sum(check.passed for check in checks)
    requests = f"{run.requests.sent:,} requests, {run.requests.failed} failed"
    return f"{requests} · {passed} of {len(checks)} checks passed"


def _times(run: Recording) -> list[float]:
    return [s.t_s + 0.5 for s in run.seconds]


def draw_load(axes: Any, run: Recording) -> None:
    rates = [s.rate_rps for s in run.seconds]
    axes.fill_between(_times(run), rates, step="mid", color=_LOAD, alpha=0.25, linewidth=0)
    axes.step(_times(run), rates, where="mid", color=_LOAD, linewidth=1.6)
    axes.set_ylabel("load\nrequests / s")
    axes.set_ylim(0, max([*rates, 1]) * 1.15)


def draw_response(axes: Any, scenario: Scenario, run: Recording, tone: str = _RESPONSE) -> None:
    nan = float("nan")
    mean = [nan if s.response_ms is None else s.response_ms for s in run.seconds]
    goal = scenario.goal_ms
    times = _times(run)
    axes.axhline(goal, color=_GOAL, linewidth=1.4, linestyle=(0, (5, 3)))
    axes.text(
        0.995,
        goal,
        f"goal {goal:.0f} ms",
        transform=axes.get_yaxis_transform(),
        color=_GOAL,
        ha="right",
        va="bottom",
    )
    above = [value > goal for value in mean]
    axes.fill_between(times, mean, goal, where=above, interpolate=True, color=_GOAL, alpha=0.2, linewidth=0)
    axes.plot(times, mean, color=tone, linewidth=1.8, label="all requests")
    axes.set_ylabel("average response\nms")
    axes.set_ylim(0, max([goal * 1.4, *(v * 1.08 for v in mean if v == v)]))


def _draw_servers(axes: Any, run: Recording) -> None:
    times = [float(s.t_s) + 1 for s in run.seconds]
    ready = [s.servers_ready for s in run.seconds]
    axes.fill_between(times, ready, step="pre", color=_READY, alpha=0.45, linewidth=0, label="ready")
    end_s = float(len(run.seconds))
    steps = [(o.t_s, o.servers) for o in run.orders] + [(end_s, run.orders[-1].servers)] if run.orders else []
    axes.step(
        [t for t, _ in steps],
        [n for _, n in steps],
        where="post",
        color=_DESIRED,
        linewidth=1.8,
        label="ordered",
    )
    most = max([*ready, *(o.servers for o in run.orders), 1])
    axes.set_ylim(0, most + 1.3)
    axes.set_yticks(range(most + 2))
    axes.set_ylabel("servers")
    axes.legend(loc="upper right", frameon=False, ncols=2)


def _mark_orders(panels: Sequence[Any], run: Recording) -> None:
    """A line through all panels at each change of the ordered servers, with its reason in the lowest panel."""
    for before, after in zip(run.orders, run.orders[1:], strict=False):
        rise = after.servers > before.servers
        for axes in panels:
            axes.axvline(after.t_s, color=_DESIRED if rise else PALE, linewidth=0.9, linestyle=":")
        if rise:
            label = f"+{after.servers - before.servers}  {_reason(run.decisions, after)}"
            panels[-1].annotate(
                label.strip(),
                (after.t_s, after.servers),
                xytext=(5, 5),
                textcoords="offset points",
                fontsize=9,
                fontweight="bold",
            )
        else:
            panels[-1].annotate(
                f"−{before.servers - after.servers}",
                (after.t_s, before.servers),
                xytext=(4, 3),
                textcoords="offset points",
                fontsize=9,
                color=PALE,
            )


def _reason(decisions: Sequence[Decision], order: Order) -> str:
    near = [d for d in decisions if abs(d.t_s - order.t_s) <= 2 and d.wanted >= order.servers]
    return min(near, key=lambda d: abs(d.t_s - order.t_s)).reason if near else ""
