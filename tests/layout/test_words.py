"""One word for one thing: where the product thinks and acts, no two classes have the same name."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("operator/millpond/control", "operator/millpond/kube", "operator/millpond/router", "policies")

SHARED = {
    "Resources": "xDS calls what a router gets so, and Kubernetes what a container requests",
}
"""Words of others that two classes may have."""


def classes(*rooms: str) -> dict[str, list[str]]:
    """Where each class is defined, by its name; a leading underscore makes no other word."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in (path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                found[node.name.removeprefix("_")].append(str(path.relative_to(ROOT)))
    return found


def test_no_two_classes_have_the_same_name() -> None:
    found = classes(*ROOMS)
    assert len(found) > 60
    assert {name: where for name, where in found.items() if len(where) > 1}.keys() == SHARED.keys()


def test_what_may_fail_at_the_api_server_and_at_an_embedded_cluster_are_two_words() -> None:
    found = classes("operator/millpond/kube", "operator/millpond/local")
    assert (len(found["ApiError"]), len(found["ClusterError"])) == (1, 1)
