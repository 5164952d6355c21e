"""What goes into the images is what the tests run with, and enough for all but the demo's pictures."""

import re
import subprocess
import sys
import tomllib

import pytest

from millpond.cli.main import VERBS

from image.lockfile import ROOT, pinned

_WITHOUT = "import sys; sys.modules.update(dict.fromkeys(('matplotlib', 'numpy', 'PIL')))\n"


@pytest.mark.parametrize(
    ("part", "whole"),
    [
        ("requirements-runtime.lock", "requirements.lock"),
        ("examples/sample_app/requirements.lock", "requirements-runtime.lock"),
    ],
)
def test_an_image_has_the_versions_and_hashes_that_are_tested(part: str, whole: str) -> None:
    inner, outer = pinned(part), pinned(whole)
    assert inner
    assert all(hashes for hashes in inner.values())
    assert {key: outer.get(key) for key in inner} == inner


def test_the_image_has_what_the_project_asks_for_and_nothing_of_the_demo_or_of_development() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [wish for extra in project["optional-dependencies"].values() for wish in extra]
    locked = {name for name, _ in pinned("requirements-runtime.lock")}
    assert _names(project["dependencies"]) <= locked
    assert not _names(extras) & locked


def _names(wishes: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", wish)[0] for wish in wishes}


def test_every_verb_loads_without_what_only_the_demo_needs() -> None:
    load = "from importlib import import_module\nfrom millpond.cli.main import VERBS\n"
    load += "for module, _ in VERBS.values(): import_module(module.partition(':')[0])\n"
    load += "import millpond.lead.bootstrap; print(len(VERBS))"
    done = subprocess.run([sys.executable, "-c", _WITHOUT + load], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (str(len(VERBS)), "")


def test_the_demo_says_what_to_install() -> None:
    run = "from millpond.cli.main import main; main(['demo', 'surge'])"
    done = subprocess.run([sys.executable, "-c", _WITHOUT + run], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: matplotlib, which draws the timeline, is not installed: pip install 'millpond[demo]'\n"
    )


def test_the_product_loads_without_what_the_image_leaves_out() -> None:
    absent = "import sys; sys.modules.update(dict.fromkeys(('millpond.local', 'millpond.demo')))\n"
    load = "from importlib import import_module\nfrom millpond.cli.main import LAPTOP, VERBS\n"
    load += "for verb in VERBS.keys() - LAPTOP: import_module(VERBS[verb][0].partition(':')[0])\n"
    load += "import millpond.lead.bootstrap; print('loaded')"
    done = subprocess.run([sys.executable, "-c", absent + load], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("loaded\n", "")
