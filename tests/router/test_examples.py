"""The examples of what stands in front of the routers are whole, and lead to the Service that there is."""

from typing import Any

import pytest
import yaml

from millpond import paths

FILES = sorted((paths.examples() / "ingress").glob("*.yaml"))


def _services(found: Any) -> list[dict[str, Any]]:
    """Every reference to a Service, wherever it stands."""
    if isinstance(found, list):
        return [service for each in found for service in _services(each)]
    if not isinstance(found, dict):
        return []
    below = [service for each in found.values() for service in _services(each)]
    named = isinstance(found.get("name"), str) and "port" in found and "protocol" not in found
    return [*below, found] if named else below


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in FILES])
def test_an_example_is_made_of_whole_objects(file: Any) -> None:
    objects = list(yaml.safe_load_all(file.read_text()))
    assert all({"apiVersion", "kind", "metadata"} <= found.keys() for found in objects)
    namespaces = {found["metadata"]["name"] for found in objects if found["kind"] == "Namespace"}
    used = {found["metadata"].get("namespace") for found in objects} - {None, "millpond-system"}
    assert used == namespaces, "whoever applies it needs nothing before"


def test_what_stands_in_front_leads_to_the_routers() -> None:
    front = [
        found
        for f in FILES
        for found in yaml.safe_load_all(f.read_text())
        if found["kind"] in ("Ingress", "HTTPRoute")
    ]
    assert len(front) == 2
    for found in front:
        services = _services(found["spec"])
        assert services
        assert {service["name"] for service in services} == {"millpond-router"}
