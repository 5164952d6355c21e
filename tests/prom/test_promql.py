"""Values given by tenants stay values."""

import pytest

from millpond.prom import promql
from millpond.prom.errors import PromRejected
from millpond.prom.presets import PRESETS, chosen, question
from millpond.prom.reader import PromReader

NASTY = [
    '"} or vector(0) #',
    "\\",
    '\\"',
    "\n} or vector(1)\n#",
    "\r\t\x01",
    "(a+)+$",
    "`'{}[]",
    "{namespace}",
    "日本語 𝄞",
    "",
]


@pytest.mark.integration
@pytest.mark.parametrize("value", NASTY)
async def test_prometheus_reads_a_quoted_value_as_it_was_written(reader: PromReader, value: str) -> None:
    found = await reader.query(
        f'label_replace(vector(1), "x", {promql.quoted("<" + value.replace("$", "$$") + ">")}, "", "")'
    )
    assert [s.labels.get("x") for s in found] == ["<" + value + ">"]


@pytest.mark.integration
@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize("preset", sorted(PRESETS))
async def test_no_value_breaks_out_of_its_matcher(reader: PromReader, preset: str, value: str) -> None:
    labels = {(PRESETS[preset].identity or ("job",))[0]: value or "x", "more": value}
    source = chosen(preset, labels, None)
    assert await reader.query(question(source, "shop", labels, 2)) == ()


@pytest.mark.parametrize(
    ("label", "value", "says"),
    [
        pytest.param("a-b", "x", "label name 'a-b' is refused", id="a dash"),
        pytest.param("1a", "x", "refused", id="a digit first"),
        pytest.param("", "x", "refused", id="empty"),
        pytest.param("a\n", "x", "refused", id="a newline after it"),
        pytest.param('a="b",c', "x", "refused", id="another matcher"),
        pytest.param("__name__", "x", "refused", id="the metric's name"),
        pytest.param("a", "x" * 513, "513 characters, at most 512", id="too long"),
        pytest.param("a", "\0", "not valid text", id="NUL"),
        pytest.param("a", "\ud800", "not valid text", id="a lone surrogate"),
    ],
)
def test_what_prometheus_could_not_read_is_refused(label: str, value: str, says: str) -> None:
    with pytest.raises(PromRejected, match=says):
        promql.equal(label, value)


@pytest.mark.parametrize("namespace", ["", "a|b", ".*", "A", "a\n", '"', "-a", "a" * 64])
def test_a_namespace_is_a_dns_label_and_so_no_pattern(namespace: str) -> None:
    with pytest.raises(PromRejected, match="not a DNS label"):
        promql.one_of_namespaces(["shop", namespace])


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_selector_is_confined_to_the_namespace(preset: str) -> None:
    labels = {(PRESETS[preset].identity or ("job",))[0]: "x"}
    text = question(chosen(preset, labels, None), "shop", labels, 60)
    selectors = [part.split("}")[0] for part in text.split("{")[1:]]
    assert selectors
    assert all('namespace="shop"' in s for s in selectors)


@pytest.mark.parametrize(
    ("preset", "labels", "percentile", "says"),
    [
        pytest.param(
            "haproxy", {"a": "b"}, None, "there are envoy, istio, nginx-ingress, open-liberty", id="unknown"
        ),
        pytest.param(
            "envoy", {}, None, "needs a label that tells the app: envoy_cluster_name", id="no label"
        ),
        pytest.param("envoy", {"pod": "x"}, None, "envoy_cluster_name", id="envoy without a cluster"),
        pytest.param("istio", {"pod": "x"}, None, "destination_workload", id="istio without a destination"),
        pytest.param("nginx-ingress", {"path": "/"}, None, "ingress or host", id="nginx without an ingress"),
        pytest.param("open-liberty", {}, None, "which servers are the app's", id="liberty without any"),
        pytest.param("envoy", {"namespace": "x"}, None, "namespace is set by Millpond", id="a namespace"),
        pytest.param("envoy", {"le": "1"}, None, "le is set by Millpond", id="a bucket"),
        pytest.param("istio", {"destination_service_namespace": "x"}, None, "set by", id="istio's namespace"),
        pytest.param(
            "open-liberty", {"servlet": "s"}, 90, "no percentile: use an average", id="servlet percentile"
        ),
    ],
)
def test_a_wrong_question_says_what_would_be_right(
    preset: str, labels: dict[str, str], percentile: float | None, says: str
) -> None:
    with pytest.raises(PromRejected, match=says):
        chosen(preset, labels, percentile)
