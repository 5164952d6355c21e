"""Counts how often a cycle derives the same thing again."""

import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

DERIVED = {
    "how far its rollout is": ("millpond.control.resolve.rollouts", "progress"),
    "the edition that serves": ("millpond.control.resolve.rollouts", "active"),
    "the states of its editions": ("millpond.control.resolve.rollouts", "states"),
    "what keeps servers from coming": ("millpond.control.observe.troubles", "trouble"),
}
REGROUPED = "the whole cluster by app"
Function = Callable[..., Any]


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Calls of everything that is derived of an app, wherever it was imported to, and of `World.holdings`."""
    calls: Counter[str] = Counter()
    undo: list[Callable[[], None]] = []

    def count(owner: Any, name: str, what: str) -> None:
        before = getattr(owner, name)

        def counting(*args: Any, **more: Any) -> Any:
            calls[what] += 1
            return before(*args, **more)

        setattr(owner, name, counting)
        undo.append(lambda: setattr(owner, name, before))

    for what, (module, name) in DERIVED.items():
        for owner in _importers(module, name):
            count(owner, name, what)
    count(importlib.import_module("millpond.control.observe.world").World, "holdings", REGROUPED)
    try:
        yield calls
    finally:
        for one in undo:
            one()


def _importers(module: str, name: str) -> list[Any]:
    """The module itself, and those that took the function by its name."""
    function = getattr(importlib.import_module(module), name)
    loaded = [m for n, m in sys.modules.items() if n.startswith("millpond.")]
    return [m for m in loaded if getattr(m, name, None) is function]
