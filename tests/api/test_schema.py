"""The CRDs in the chart are those of the models, and are what Kubernetes and `kubectl explain` want."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from millpond import paths
from millpond.api import schema
from millpond.api.checks.resource import Resource
from millpond.api.names import PLURALS

KINDS = [pytest.param(resource, id=resource.kind) for resource in schema.RESOURCES]
_FOREIGN = {"$ref", "$defs", "title", "anyOf", "oneOf", "const", "propertyNames", "exclusiveMinimum"}


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a schema, with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from nodes(schema[inner], f"{path}[]")


def root(resource: Resource[Any]) -> dict[str, Any]:
    (version,) = schema.crd(resource)["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def test_the_committed_files_are_the_generated_ones(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "millpond.api.schema", str(tmp_path)], check=True)
    committed = {path.name: path.read_text() for path in (paths.chart() / "crds").iterdir()}
    generated = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert committed == generated, "run `make crds` and commit what it writes"


def test_there_is_one_file_for_each_kind() -> None:
    files = {path.stem for path in (paths.chart() / "crds").iterdir()}
    assert files == set(PLURALS.values()) == {resource.plural for resource in schema.RESOURCES}


@pytest.mark.parametrize("resource", KINDS)
def test_every_field_is_described(resource: Resource[Any]) -> None:
    silent = [path for path, node in nodes(root(resource)) if not node.get("description")]
    assert [path for path in silent if not path.endswith("[]") and ".metadata" not in path[:9]] == []


@pytest.mark.parametrize("resource", KINDS)
def test_every_column_is_described(resource: Resource[Any]) -> None:
    assert [column.name for column in resource.columns if not column.description] == []


@pytest.mark.parametrize("resource", KINDS)
def test_the_schema_is_structural(resource: Resource[Any]) -> None:
    for path, node in nodes(root(resource)):
        assert "type" in node, path
        assert not _FOREIGN & node.keys(), path


@pytest.mark.parametrize("resource", KINDS)
def test_everything_that_people_write_has_an_upper_bound(resource: Resource[Any]) -> None:
    """So that rules stay cheap, and objects below what an annotation can hold."""
    bounds = {"array": "maxItems", "string": "maxLength", "integer": "maximum"}
    for path, node in nodes(root(resource)["properties"]["spec"]):
        if ".template" not in path and "enum" not in node and node["type"] in bounds:
            assert bounds[node["type"]] in node, path
        if "additionalProperties" in node and not path.endswith(".annotations"):
            assert "maxProperties" in node, path


@pytest.mark.parametrize("resource", KINDS)
def test_every_rule_says_what_is_wrong_with_the_value(resource: Resource[Any]) -> None:
    for path, node in nodes(root(resource)):
        for rule in node.get("x-kubernetes-validations", []):
            assert rule["messageExpression"], path


def test_optional_fields_of_a_status_may_be_null_and_those_of_a_spec_may_not() -> None:
    app = root(next(r for r in schema.RESOURCES if r.kind == "ElasticApp"))["properties"]
    assert app["status"]["properties"]["servers"]["nullable"]
    assert "nullable" not in app["spec"]["properties"]["affinity"]


@pytest.mark.parametrize("name", ["roles.yaml", "admission.yaml"])
def test_the_templates_are_plain_yaml_and_no_helm_expressions(name: str) -> None:
    text = (paths.chart() / "templates" / name).read_text()
    assert "{{" not in text
    assert all(document["kind"] for document in yaml.safe_load_all(text))
