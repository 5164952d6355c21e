"""The chart as documents, and what is in them."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import yaml

from millpond import paths

from chart.helms import Helm

RELEASE_NAMESPACE = "chart-release"
Document = dict[str, Any]


def render(helm: Helm, values: object) -> list[Document]:
    """All documents, in the order of their kinds and names. Raises HelmError."""
    return json.loads(_rendered(helm, json.dumps(values, sort_keys=True)))  # type: ignore[no-any-return]


@cache
def _rendered(helm: Helm, values: str) -> str:
    text = helm.render(paths.chart(), json.loads(values), namespace=RELEASE_NAMESPACE)
    found = [document for document in yaml.safe_load_all(text) if document]
    return json.dumps(sorted(found, key=title))


def title(document: Document) -> str:
    about = document["metadata"]
    return f"{document['kind']} {about.get('namespace', '')}/{about['name']}"


def pods(documents: Iterable[Document]) -> Iterator[tuple[str, Document]]:
    """The pods that come of the documents, each with the title of what makes it; named like that."""
    for document in documents:
        if document["kind"] == "Pod":
            template = document
        elif "template" in document.get("spec", {}) and document["kind"] != "Certificate":
            template = document["spec"]["template"]
        else:
            continue
        about = {**template.get("metadata", {}), "name": document["metadata"]["name"]}
        about.pop("namespace", None)
        yield (
            title(document),
            {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"]},
        )
