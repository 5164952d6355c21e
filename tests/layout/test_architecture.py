"""ARCHITECTURE.md and the folders say the same, and no folder is a heap."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (ROOT / "operator" / "millpond", ROOT / "policies" / "millpond_policies")
MODULES_AT_MOST = 12


def folders() -> list[Path]:
    """Every folder with modules of its own."""
    return [found.parent for package in PACKAGES for found in sorted(package.rglob("__init__.py"))]


def question(folder: Path) -> str:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    return re.split(r"(?<=[.?!])\s", text.replace("\n", " "))[0]


def pictured() -> Iterator[tuple[Path, str]]:
    """Every line of the picture: the folder, and what the line says of it."""
    picture = (ROOT / "ARCHITECTURE.md").read_text().split("```")[1].strip()
    above: list[Path] = []
    for line in picture.splitlines():
        name, _, said = line.strip().partition("/ ")
        depth = (len(line) - len(line.lstrip())) // 2
        above = [*above[:depth], (above[depth - 1] if depth else ROOT) / name.rstrip("/")]
        yield above[-1], said.strip()


def test_the_picture_has_every_folder_once() -> None:
    shown = [folder for folder, _ in pictured()]
    assert sorted(shown) == sorted(folders())
    assert len(set(shown)) == len(shown)


def test_the_picture_says_what_the_folders_say() -> None:
    told = {folder: said for folder, said in pictured() if folder not in PACKAGES}
    assert told == {folder: question(folder) for folder in folders() if folder not in PACKAGES}


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_says_what_it_is_for_and_holds_about_a_dozen_modules(folder: Path) -> None:
    modules = [found for found in folder.glob("*.py") if found.name != "__init__.py"]
    assert question(folder)
    assert len(modules) <= MODULES_AT_MOST


def test_folders_without_modules_are_not_packages_by_accident() -> None:
    found = {source.parent for package in PACKAGES for source in package.rglob("*.py")}
    assert found == set(folders())


def test_the_operators_folder_is_not_a_package() -> None:
    """It would shadow the standard library's module `operator`."""
    assert not (ROOT / "operator" / "__init__.py").exists()
