"""The template of a new edition, from a file and images."""

import json
from pathlib import Path
from typing import Any

import pytest

from millpond.cli.rollout.template import TemplateError, load, with_images

from cli.staged import manifest, template

FILE = Path("t.yaml")


@pytest.mark.parametrize(
    "content",
    [
        template("web:9"),
        manifest(template=template("web:9")),
        {"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": template("web:9")}},
    ],
)
def test_a_template_is_found_where_people_have_one(content: Any) -> None:
    assert load(FILE, json.dumps(content)) == template("web:9")


def test_a_pod_becomes_a_template() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}}, **template()}
    assert load(FILE, json.dumps(pod)) == {"metadata": {"labels": {"a": "b"}}, **template()}


@pytest.mark.parametrize(
    "text", ["", "[]", "{: no yaml", "spec: {}", "spec: {template: {spec: {}}}", "just words"]
)
def test_what_is_no_template_is_named(text: str) -> None:
    with pytest.raises(TemplateError, match=r"t\.yaml"):
        load(FILE, text)


def test_images_are_put_where_they_belong_and_the_original_stays() -> None:
    before = template("web:1", "log")
    before["spec"]["initContainers"] = [{"name": "migrate", "image": "m:1"}]
    after = with_images(before, ["web=host:5000/web:2@sha256:ab", "migrate=m:2"])
    assert after["spec"]["containers"][0]["image"] == "host:5000/web:2@sha256:ab"
    assert after["spec"]["initContainers"][0]["image"] == "m:2"
    assert before["spec"]["containers"][0]["image"] == "web:1"


@pytest.mark.parametrize("image", ["=web:2", "web=", ""])
def test_an_image_without_a_half_is_refused(image: str) -> None:
    with pytest.raises(TemplateError, match="CONTAINER=IMAGE"):
        with_images(template(), [image])
