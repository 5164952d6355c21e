"""`make bench` takes minutes; that each of its parts loads is known in seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "bench"
BENCHES = sorted(found.stem for found in FOLDER.glob("*.py") if "\ndef figures(" in found.read_text())


@pytest.mark.parametrize("name", BENCHES)
def test_a_benchmark_loads_by_itself(name: str) -> None:
    argv = [sys.executable, "-c", f"import tests.bench.{name}"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
