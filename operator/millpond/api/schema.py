"""Writes the CustomResourceDefinitions: `python -m millpond.api.schema charts/millpond/crds`.

Kubernetes takes *structural* schemas only, so what pydantic writes is inlined ($ref), stripped (titles, unknown
keywords) and flattened (X | None is just optional).
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from pydantic import BaseModel

from millpond.api import names
from millpond.api.checks.resource import Column, Resource
from millpond.api.kinds import dynamicpool, edition, elasticapp, slapolicy

Json: TypeAlias = dict[str, Any]

RESOURCES: tuple[Resource[Any], ...] = (
    dynamicpool.RESOURCE,
    edition.RESOURCE,
    elasticapp.RESOURCE,
    slapolicy.RESOURCE,
)
_HEADER = "# Generated from operator/millpond/api by `make crds`: change the models, not this file.\n"
_DROPPED = {"title", "additionalProperties", "propertyNames", "$defs"}


def structural(model: type[BaseModel], *, status: bool = False) -> Json:
    """The structural schema of a model.

    ``status``: it is one; its optional fields may also be null, and it has no defaults, so that it reads as written.
    """
    schema = model.model_json_schema(by_alias=True)
    return _Flat(schema.get("$defs", {}), status).node(schema)


class _Flat:
    def __init__(self, definitions: Mapping[str, Json], status: bool) -> None:
        self.definitions = definitions
        self.status = status

    def node(self, schema: Json) -> Json:
        schema = self._without_null(self._without_ref(schema))
        flat = {key: value for key, value in schema.items() if key not in _DROPPED and value is not None}
        if self.status:
            flat.pop("default", None)
        if isinstance(flat.get("default"), dict):  # an absent field is left out, never null
            flat["default"] = {name: value for name, value in flat["default"].items() if value is not None}
        if "properties" in schema:
            flat["properties"] = {name: self.node(field) for name, field in schema["properties"].items()}
        if "items" in schema:
            flat["items"] = self.node(schema["items"])
        if isinstance(schema.get("additionalProperties"), dict) and "properties" not in schema:
            flat["additionalProperties"] = self.node(schema["additionalProperties"])
        if schema.get("type") == "integer":
            flat["format"] = "int64"
        if "description" in flat:
            flat["description"] = " ".join(flat["description"].split())
        return flat

    def _without_ref(self, schema: Json) -> Json:
        if "$ref" not in schema:
            return schema
        target = self.definitions[schema["$ref"].rpartition("/")[2]]
        return target | {key: value for key, value in schema.items() if key != "$ref"}

    def _without_null(self, schema: Json) -> Json:
        if "anyOf" not in schema:
            return schema
        (only,) = (option for option in schema["anyOf"] if option.get("type") != "null")
        around = {key: value for key, value in schema.items() if key != "anyOf"}
        merged = self._without_ref(only) | around
        return merged | {"nullable": True} if self.status else merged


def crd(resource: Resource[Any]) -> Json:
    """The CustomResourceDefinition of a kind."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": list(resource.short),
                "categories": ["millpond"],
            },
            "versions": [_version(resource)],
        },
    }


def _version(resource: Resource[Any]) -> Json:
    version: Json = {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in resource.columns],
    }
    subresources: Json = {"status": {}} if resource.status else {}
    if resource.scale:
        subresources["scale"] = dict(resource.scale)
    if subresources:
        version["subresources"] = subresources
    return version | {"schema": {"openAPIV3Schema": _root(resource)}}


def _column(column: Column) -> Json:
    shown: Json = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }
    return shown | {"priority": 1} if column.wide else shown


def _root(resource: Resource[Any]) -> Json:
    properties: Json = {
        "apiVersion": {"type": "string", "description": f"{names.API_VERSION}."},
        "kind": {"type": "string", "description": f"{resource.kind}."},
        "metadata": {"type": "object"},
        "spec": structural(resource.spec),
    }
    if resource.status:
        properties["status"] = structural(resource.status, status=True)
    root: Json = {
        "type": "object",
        "description": resource.description,
        "required": ["spec"],
        "properties": properties,
    }
    if resource.name_rule:
        rule = resource.name_rule.to_schema()
        about_name = {key: text.replace("self", "self.metadata.name") for key, text in rule.items()}
        root["x-kubernetes-validations"] = [about_name | {"fieldPath": ".metadata.name"}]
        properties["metadata"]["properties"] = {"name": {"type": "string"}}
    return root


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(resource: Resource[Any]) -> str:
    return _HEADER + yaml.dump(crd(resource), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def write(folder: Path) -> None:
    """One file per kind, named after its plural."""
    folder.mkdir(parents=True, exist_ok=True)
    for resource in RESOURCES:
        (folder / f"{resource.plural}.yaml").write_text(to_yaml(resource), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
