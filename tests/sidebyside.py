"""Which tests one worker has to itself when tests run side by side (`pytest -n 3`): each goes to whoever is free.

Only those of a file that share what the file or its folder sets up stay together. These files come first, the fullest
before others, then all other tests in their order.
"""

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

_EVERYWHERE = ("tests", "tests/e2e")
"""What is set up here, every worker has anyway: the cluster, and the product on it."""
_ONE_AT_A_TIME = {
    "tests/e2e/test_nothing_lost.py": "under traffic",  # 200 requests a second in each of their tests
    "tests/e2e/test_rollouts.py": "under traffic",
    "tests/e2e/test_scaling.py": "rising load",  # goals are met or missed by what the machine can do
    "tests/e2e/test_demo.py": "rising load",
    "tests/e2e/test_faults.py": "rising load",
}
"""Of files that belong together one test runs at a time: two cores carry one of each, beside all else."""


class SideBySide(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in _ONE_AT_A_TIME:
            return _ONE_AT_A_TIME[file]
        return file if _shares(self.config.rootpath / file, self.config.rootpath) else nodeid


@cache
def _shares(file: Path, root: Path) -> bool:
    conftest = file.parent / "conftest.py"
    of_folder = str(file.parent.relative_to(root)) not in _EVERYWHERE and conftest.exists()
    return 'scope="module"' in file.read_text() or (of_folder and 'scope="session"' in conftest.read_text())
