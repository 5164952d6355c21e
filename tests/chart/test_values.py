"""Wrong values are refused by name; every value is known to the schema, explained, and in the README."""

import json
import re
from pathlib import Path

import pytest

from millpond import paths

from chart import tables
from chart.helms import Helm, HelmError
from chart.rendering import Document, render


def router(**values: object) -> Document:
    return {"router": values}


def service(**values: object) -> Document:
    return router(service=values)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        pytest.param({"routers": {}}, ["routers", "not allowed"], id="a typo at the top"),
        pytest.param({"image": {"repo": "x"}}, ["image", "repo", "not allowed"], id="a typo below"),
        pytest.param(service(nodeport=1), ["router/service", "nodeport"], id="a typo in small letters"),
        pytest.param(
            {"image": {"tag": 1.2}}, ["image/tag", "number", "want string"], id="a tag that is a number"
        ),
        pytest.param({"image": {"repository": ""}}, ["image/repository"], id="no image"),
        pytest.param(
            {"image": {"pullPolicy": "Sometimes"}}, ["image/pullPolicy", "IfNotPresent"], id="a policy"
        ),
        pytest.param(
            router(replicas="2"), ["router/replicas", "string", "want integer"], id="a number as text"
        ),
        pytest.param(router(replicas=0), ["router/replicas", "0"], id="no routers"),
        pytest.param(router(drainSeconds=-1), ["router/drainSeconds", "-1"], id="a negative time"),
        pytest.param(
            router(drainSeconds="60s"), ["router/drainSeconds", "want integer"], id="a time with a unit"
        ),
        pytest.param(router(trustedHops=-1), ["router/trustedHops", "-1"], id="fewer proxies than none"),
        pytest.param(service(type="Nodeport"), ["router/service/type", "NodePort"], id="an unknown type"),
        pytest.param(
            service(nodePort=70000), ["router/service/nodePort", "70,000"], id="a port that is none"
        ),
        pytest.param(
            service(annotations={"a": True}), ["router/service/annotations/a"], id="a boolean annotation"
        ),
        pytest.param(
            router(tls={"secrets": "x"}), ["router/tls/secrets", "want array"], id="one instead of a list"
        ),
        pytest.param(
            router(tls={"secrets": ["A b"]}), ["router/tls/secrets/0", "A b"], id="a name that is none"
        ),
        pytest.param(
            router(tls={"certificates": [{"secretName": "x", "dnsNames": ["x"]}]}),
            ["router/tls/certificates/0", "issuerRef"],
            id="a certificate of no issuer",
        ),
        pytest.param({"watchNamespaces": "shop"}, ["watchNamespaces", "want array"], id="namespaces as text"),
        pytest.param(
            {"watchNamespaces": ["Shop"]}, ["watchNamespaces/0", "Shop"], id="a namespace in capitals"
        ),
        pytest.param({"hosts": {"default": ["Shop.example"]}}, ["hosts/default/0"], id="a host in capitals"),
        pytest.param({"hosts": {"default": "*"}}, ["hosts/default", "want array"], id="hosts as text"),
        pytest.param({"watchNamespaces": ["a", "a"]}, ["watchNamespaces"], id="a namespace twice"),
        pytest.param({"operator": {"prometheusUrl": "prom:9090"}}, ["operator/prometheusUrl"], id="no URL"),
        pytest.param({"operator": {"logFormat": "xml"}}, ["operator/logFormat"], id="no form of a log"),
        pytest.param(
            {"operator": {"verbose": "no"}}, ["operator/verbose", "want boolean"], id="a boolean as text"
        ),
        pytest.param(
            {"operator": {"resources": {"limits": {"cpu": "1 core"}}}},
            ["operator/resources/limits/cpu", "1 core"],
            id="a quantity that is none",
        ),
        pytest.param({"operator": {"resources": {"limit": {}}}}, ["operator/resources", "limit"], id="limit"),
        pytest.param(
            {"networkPolicy": {"enabled": 1}}, ["networkPolicy/enabled", "want boolean"], id="one as yes"
        ),
        pytest.param(
            {"monitoring": {"serviceMonitor": True}}, ["monitoring/serviceMonitor"], id="a bare switch"
        ),
        pytest.param(
            {"monitoring": {"dashboard": {"label": ""}}}, ["monitoring/dashboard/label"], id="no label"
        ),
    ],
)
def test_wrong_values_are_refused_and_named(each_helm: Helm, values: Document, says: list[str]) -> None:
    with pytest.raises(HelmError) as refused:
        render(each_helm, values)
    for part in says:
        assert part in str(refused.value)


def test_every_value_is_known_to_the_schema_and_explained() -> None:
    found = tables.values(paths.chart())
    assert {value.path.partition(".")[0] for value in found} >= {"image", "operator", "router", "monitoring"}
    assert all(re.match(r"[A-Z`].*\.$", value.comment) for value in found)


def test_the_schema_knows_no_value_that_nobody_explains() -> None:
    schema = json.loads((paths.chart() / "values.schema.json").read_text())
    explained = {value.path for value in tables.values(paths.chart())} | {"global"}
    assert set(_leaves(schema, (), explained)) == explained


def _leaves(part: Document, above: tuple[str, ...], explained: set[str]) -> list[str]:
    path = ".".join(above)
    if path in explained or not part.get("properties"):
        return [path]
    assert part["additionalProperties"] is False, f"{path or 'the top'} takes typos"
    return [
        leaf
        for name, below in part["properties"].items()
        for leaf in _leaves(below, (*above, name), explained)
    ]


@pytest.mark.parametrize(
    ("text", "schema", "says"),
    [
        pytest.param(
            "a: 1\n", {"a": {"type": "integer"}}, "^a in values.yaml has no comment", id="no comment"
        ),
        pytest.param("# -- An a.\na: 1\n", {}, r"^a is not in values\.schema\.json", id="not in the schema"),
        pytest.param("# -- An a.\na: 1\n", {"a": {}}, "has no type", id="no type"),
    ],
)
def test_a_value_that_is_not_explained_is_named(
    tmp_path: Path, text: str, schema: Document, says: str
) -> None:
    (tmp_path / "values.yaml").write_text(text)
    (tmp_path / "values.schema.json").write_text(json.dumps({"properties": schema}))
    with pytest.raises(ValueError, match=says):
        tables.values(tmp_path)


def test_the_tables_in_the_readme_are_those_that_make_docs_writes() -> None:
    chart = paths.chart()
    assert (chart / "README.md").read_text() == tables.fresh(chart), "run `make docs`"
