"""`make bench` takes minutes; that each of its parts loads is known in seconds."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "bench"
BENCHES = sorted(found.stem for found in FOLDER.glob("*.py") if "\ndef figures(" in found.read_text())


def test_every_benchmark_loads() -> None:
    """In one process: what they have in common is most of what they load."""
    assert BENCHES
    argv = [sys.executable, "-c", "\n".join(f"import tests.bench.{name}" for name in BENCHES)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
