"""The pod template of a new edition: from a file, or the present one with other images."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

Template = Mapping[str, Any]


class TemplateError(ValueError):
    """What was given cannot make a template; the message says what would."""


def load(path: Path, text: str) -> Template:
    """A PodTemplateSpec, or that of an ElasticApp, a Deployment or another object with spec.template."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TemplateError(f"{path} is not YAML: {error}") from error
    spec = found.get("spec") if isinstance(found, dict) else None
    if isinstance(spec, dict) and isinstance(spec.get("template"), dict):
        found, spec = spec["template"], spec["template"].get("spec")
    if not isinstance(spec, dict) or not spec.get("containers"):
        raise TemplateError(f"{path} has no pod template: spec.containers, or spec.template.spec.containers")
    return {key: found[key] for key in ("metadata", "spec") if key in found} if "kind" in found else found


def with_images(template: Template, images: Sequence[str]) -> Template:
    """``images``: CONTAINER=IMAGE each, or one IMAGE alone when there is but one container."""
    changed = deepcopy(dict(template))
    pod = changed["spec"]
    containers = {c["name"]: c for c in [*pod["containers"], *(pod.get("initContainers") or ())]}
    for text in images:
        name, image = _split(text, [c["name"] for c in pod["containers"]])
        if name not in containers:
            raise TemplateError(f"there is no container {name!r}; there are: {', '.join(containers)}")
        containers[name]["image"] = image
    return changed


def _split(text: str, containers: Sequence[str]) -> tuple[str, str]:
    """An image has no "=" in it."""
    name, equals, image = text.rpartition("=")
    if (equals and not name) or not image:
        raise TemplateError(f"--image {text!r}: it must be CONTAINER=IMAGE, such as {containers[0]}=shop:2")
    if equals:
        return name, image
    if len(containers) > 1:
        raise TemplateError(f"--image {text!r}: which container? Write {containers[0]}={text}, or the like, out of "
                            + ", ".join(containers))  # fmt: skip
    return containers[0], text
