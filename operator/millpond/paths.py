"""Where the files that ship with Millpond are: inside the wheel, or at the root of a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE.parent.parent


def _shipped(name: str, in_checkout: str) -> Path:
    packed = _PACKAGE / name
    return packed if packed.is_dir() else _ROOT / in_checkout


def chart() -> Path:
    return _shipped("_chart", "charts/millpond")


def catalog() -> Path:
    return _shipped("_catalog", "policies/catalog")


def examples() -> Path:
    return _shipped("_examples", "examples")
