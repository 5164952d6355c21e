"""Each import contract fails when somebody imports what it forbids."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = [
    ("millpond.kube.paths", "millpond.control.cycle", "imports point downward"),
    ("millpond.router.config", "millpond.kube.paths", "imports point downward"),
    ("millpond.lead.settings", "millpond.local.errors", "imports point downward"),
    ("millpond.control.cycle", "millpond.lead.term", "imports point downward"),
    ("millpond_policies.plan", "time", "policies think"),
    ("millpond_policies.plan", "pydantic", "policies think"),
    ("millpond_policies.learn.curve", "millpond_policies.size.sizing", "policies: plan"),
    ("millpond_policies.size.sizing", "millpond_policies.rollouts.stages", "policies: plan"),
    ("millpond.control.guard.each", "millpond.control.observe.world", "control: the cycle"),
    ("millpond.control.report.facts", "millpond.control.routing.routes", "control: the cycle"),
    ("millpond.control.drain.drains", "millpond.control.act.template", "control: the cycle"),
    ("millpond.router.trust.tls", "millpond.router.xds.router", "router: process"),
    ("millpond.router.telemetry.otlp", "millpond.router.xds.router", "router: process"),
    ("millpond.local.node.state", "millpond.local.cluster.plane", "a laptop's parts"),
    ("millpond.local.node.state", "millpond.local.programs.build", "a laptop's parts"),
    ("millpond.cli.show.get", "millpond.demo.run", "the product runs without"),
    ("millpond.cli.run.operator", "millpond.local.errors", "the product runs without"),
    ("millpond.local.errors", "millpond.control.guard.faults", "adapters do not know"),
    ("millpond.api.checks.rules", "millpond.api.kinds.sla", "api: schema"),
    ("millpond.api.names", "millpond.api.durations", "api: schema"),
]
UNDERLINE = re.compile(r"\n-{3,}\n")
Linted = subprocess.CompletedProcess[str]


def copied(to: Path) -> Path:
    """All that the contracts are about."""
    for name in ("operator/millpond", "policies/millpond_policies"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", to)
    return to


def lint(sources: Path) -> Linted:
    """`lint-imports` over the copy."""
    path = [str(sources / name) for name in ("operator", "policies")]
    # In front of the path, so that the copy is looked at and not the installed project.
    run = f"import sys; sys.path[:0] = {path!r}; from importlinter.cli import lint_imports_command as c"
    argv = [sys.executable, "-c", f"{run}; c(['--config', 'pyproject.toml', '--no-cache'])"]
    env = {**os.environ, "COLUMNS": "200"}  # nothing is wrapped
    return subprocess.run(argv, cwd=sources, env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Linted:
    """All the forbidden imports at once: looking at the whole project takes seconds each time."""
    sources = copied(tmp_path_factory.mktemp("broken"))
    for importer, imported, _ in FORBIDDEN:
        top, *rest = importer.split(".")
        module = sources / ("operator" if top == "millpond" else "policies") / top / "/".join(rest)
        with module.with_suffix(".py").open("a") as source:
            source.write(f"\nimport {imported}\n")
    return lint(sources)


def test_the_contracts_are_kept(tmp_path: Path) -> None:
    found = lint(copied(tmp_path))
    assert (found.returncode, "0 broken" in found.stdout) == (0, True), found.stdout + found.stderr


@pytest.mark.parametrize(
    ("importer", "imported", "contract"), FORBIDDEN, ids=[f"{a} imports {b}" for a, b, _ in FORBIDDEN]
)
def test_an_import_that_points_upward_breaks_its_contract(
    broken: Linted, importer: str, imported: str, contract: str
) -> None:
    assert broken.returncode == 1
    assert f"{importer} -> {imported} " in said_of(contract, broken.stdout), broken.stdout + broken.stderr


def said_of(contract: str, told: str) -> str:
    """Between the underlined name of the broken contract and the next."""
    _, _, broken = told.partition("Broken contracts")
    _, _, named = broken.partition(f"\n{contract}")
    return UNDERLINE.split(named, maxsplit=2)[1] if named else ""
