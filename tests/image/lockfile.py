"""What a lock file pins."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parents[2]
Pinned: TypeAlias = Mapping[tuple[str, str], frozenset[str]]
"""By (name, version): the hashes of its files."""


def pinned(file: str) -> Pinned:
    """What a lock file, named from the root, pins."""
    entries = re.split(r"^(?=[A-Za-z0-9])", (ROOT / file).read_text(), flags=re.MULTILINE)
    found = [(re.match(r"([\w.-]+)==([^\s;\\]+)", entry), entry) for entry in entries]
    return {
        (match[1], match[2]): frozenset(re.findall(r"--hash=(\S+)", entry)) for match, entry in found if match
    }
