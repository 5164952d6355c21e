"""`python -m tests.bench [NAME…]`: what things cost, beside the goal. Figures only: nothing fails for being slow.

Every module of this folder that has ``figures()`` takes part, in alphabetical order, or those that are named.
"""

import importlib
import pkgutil
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.bench.figures import Figure

_LINE = "{:<72} {:>12} {:>12}"


def main() -> None:
    print(_LINE.format("what", "goal", "reached"))
    for figure in _figures(sys.argv[1:]):
        print(
            _LINE.format(figure.what, _text(figure.goal, figure), _text(figure.reached, figure)), flush=True
        )


def _figures(named: Collection[str]) -> Iterator[Figure]:
    for found in sorted(pkgutil.iter_modules([str(Path(__file__).parent)]), key=lambda m: m.name):
        if found.name != "__main__" and (not named or found.name in named):
            section = importlib.import_module(f"tests.bench.{found.name}")
            yield from getattr(section, "figures", lambda: ())()


def _text(value: float, figure: Figure) -> str:
    return f"{value:.3g} {figure.unit}"


if __name__ == "__main__":
    main()
