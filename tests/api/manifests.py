"""Manifests that are right, and ways to spoil them, each with what the refusal must say."""

from copy import deepcopy
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from millpond.api import dynamicpool, edition, elasticapp, slapolicy
from millpond.api.names import API_VERSION, DYNAMICPOOL, EDITION, ELASTICAPP, SLAPOLICY

Manifest = dict[str, Any]
MODULES: dict[str, ModuleType] = {
    ELASTICAPP: elasticapp,
    EDITION: edition,
    SLAPOLICY: slapolicy,
    DYNAMICPOOL: dynamicpool,
}
ABSENT = object()
TEMPLATE: Manifest = {"spec": {"containers": [{"name": "app", "image": "example/shop:1"}]}}
SPECS: dict[str, Manifest] = {
    ELASTICAPP: {
        "pool": "main",
        "sla": {"policy": "gold"},
        "servers": {"max": 4},
        "edition": "v1",
        "template": TEMPLATE,
        "port": 8080,
        "routes": [{"host": "shop.example.com"}],
    },
    EDITION: {"app": "shop", "edition": "v1", "template": TEMPLATE, "templateHash": "0123456789"},
    SLAPOLICY: {"goal": {"type": "averageResponseTime", "target": "300ms"}},
    DYNAMICPOOL: {"nodeSelector": {"millpond.dev/pool": "main"}},
}


def manifest(kind: str, changes: Manifest | None = None, *, name: str = "shop") -> Manifest:
    """A good manifest of a kind; ``changes``: dotted path below spec -> value, or ABSENT to leave it out."""
    spec = deepcopy(SPECS[kind])
    for path, value in (changes or {}).items():
        *parents, last = path.split(".")
        part = spec
        for parent in parents:
            part = part.setdefault(parent, {})
        if value is ABSENT:
            del part[last]
        else:
            part[last] = deepcopy(value)
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


@dataclass(frozen=True)
class Bad:
    """A spoilt manifest. Whoever refuses it must name ``field`` and say all of ``says``."""

    story: str
    kind: str
    changes: Manifest
    field: str
    says: tuple[str, ...]

    @property
    def manifest(self) -> Manifest:
        return manifest(self.kind, self.changes)


def goal(type: str, **rest: Any) -> Manifest:
    return {"goal": {"type": type, **rest}}


def app(story: str, changes: Manifest, field: str, *says: str) -> Bad:
    return Bad(story, ELASTICAPP, changes, field, says)


def sla(story: str, changes: Manifest, field: str, *says: str) -> Bad:
    return Bad(story, SLAPOLICY, changes, field, says)


def pool(story: str, changes: Manifest, field: str, *says: str) -> Bad:
    return Bad(story, DYNAMICPOOL, changes, field, says)


AVERAGE, PERCENTILE, NONE = "averageResponseTime", "percentileResponseTime", "discretionary"
TARGET, UNITS = "spec.goal.target", "with a unit out of ms, s, m, h"
RANGE = "more than 0s and at most 5m"

BAD = (
    sla("a goal of zero", goal(AVERAGE, target="0s"), TARGET, "0s is out of range", RANGE),
    sla("a goal of zero in other words", goal(AVERAGE, target="0h0.0ms"), TARGET, "0h0.0ms", RANGE),
    sla("a goal above 5 minutes", goal(AVERAGE, target="5m1ms"), TARGET, "5m1ms is out of range", RANGE),
    sla("a goal of hours", goal(AVERAGE, target="2h"), TARGET, "2h is out of range", RANGE),
    sla("a negative goal", goal(AVERAGE, target="-1s"), TARGET, '"-1s" is not a duration', UNITS),
    sla("a unit that is spelt out", goal(AVERAGE, target="300msec"), TARGET, '"300msec" is not', UNITS),
    sla("a unit after a space", goal(AVERAGE, target="5 minutes"), TARGET, '"5 minutes" is not', UNITS),
    sla("a unit of days", goal(AVERAGE, target="1d"), TARGET, '"1d" is not', UNITS),
    sla("microseconds", goal(AVERAGE, target="300us"), TARGET, '"300us" is not', UNITS),
    sla("a goal without a unit", goal(AVERAGE, target="300"), TARGET, '"300" is not', "such as 300ms"),
    sla("an empty goal", goal(AVERAGE, target=""), TARGET, '"" is not', UNITS),
    sla("a goal and a line end", goal(AVERAGE, target="300ms\n"), TARGET, "is not a duration", UNITS),
    sla("a goal as a number", goal(AVERAGE, target=300), TARGET, "string"),
    sla("a goal too long to be one", goal(AVERAGE, target="1" * 20 + "ms"), TARGET, "16"),
    sla("an average without a target", goal(AVERAGE), TARGET, "averageResponseTime needs a target", "300ms"),
    sla("a percentile without a target", goal(PERCENTILE, percentile=95), TARGET, "needs a target"),
    sla("a discretionary target", goal(NONE, target="1s"), TARGET, "target 1s contradicts", "remove target"),
    sla("a discretionary percentile", goal(NONE, percentile=95), "spec.goal.percentile", "percentile 95"),
    sla(
        "a percentile goal that says no percentile",
        goal(PERCENTILE, target="1s"),
        "spec.goal.percentile",
        "percentileResponseTime needs a percentile",
        "from 1 to 99",
    ),
    sla(
        "an average with a percentile",
        goal(AVERAGE, target="1s", percentile=95),
        "spec.goal.percentile",
        "percentile 95 makes no sense for a goal of type averageResponseTime",
        "remove percentile",
    ),
    sla(
        "percentile 0",
        goal(PERCENTILE, target="1s", percentile=0),
        "spec.goal.percentile",
        "0",
        "greater than or equal to 1",
    ),
    sla(
        "percentile 100",
        goal(PERCENTILE, target="1s", percentile=100),
        "spec.goal.percentile",
        "100",
        "less than or equal to 99",
    ),
    sla(
        "a broken percentile",
        goal(PERCENTILE, target="1s", percentile=99.9),
        "spec.goal.percentile",
        "integer",
    ),
    sla("a goal that nobody knows", goal("median"), "spec.goal.type", "median", AVERAGE, PERCENTILE, NONE),
    sla("no goal", {"goal": ABSENT}, "spec.goal", "equired"),
    sla("importance 0", {"importance": 0}, "spec.importance", "0", "greater than or equal to 1"),
    sla("importance 8", {"importance": 8}, "spec.importance", "8", "less than or equal to 7"),
    sla("importance in words", {"importance": "high"}, "spec.importance", "integer"),
    sla("an unknown class", {"class": "prod"}, "spec.class", "prod", "production", "test"),
    sla("an endless violation", {"violationPeriod": "2h"}, "spec.violationPeriod", "2h", "at most 1h"),
    sla("a bad namespace", {"allowedNamespaces": ["Shop"]}, "spec.allowedNamespaces[0]", '"Shop"', "lower-case"),
    pool("no selector", {"nodeSelector": ABSENT}, "spec.nodeSelector", "equired"),
    pool("a bad key", {"nodeSelector": {"a b": "x"}}, "spec.nodeSelector", '"a b"', "millpond.dev/pool"),
    pool("a bad label", {"nodeSelector": {"a": "x y"}}, "spec.nodeSelector", '"x y"', "letters, digits"),
    pool("an unknown zone", {"zone": "Frozen"}, "spec.zone", "Frozen", "Dynamic", "Static"),
    app(
        "min above max",
        {"servers": {"min": 5, "max": 3}},
        "spec.servers.min",
        "min 5 is greater than max 3",
        "lower min to 3 or less",
    ),
    app("a floor of zero", {"servers.min": 0}, "spec.servers.min", "0", "greater than or equal to 1"),
    app("no ceiling", {"servers": {}}, "spec.servers.max", "equired"),
    app("a ceiling beyond reason", {"servers.max": 1001}, "spec.servers.max", "1001", "equal to 1000"),
    app("negative replicas", {"replicas": -1}, "spec.replicas", "-1", "greater than or equal to 0"),
    app("port 0", {"port": 0}, "spec.port", "0", "greater than or equal to 1"),
    app("port 65536", {"port": 65536}, "spec.port", "65536", "less than or equal to 65535"),
    app("a named port", {"port": "http"}, "spec.port", "integer"),
    app("an unknown mode", {"mode": "Auto"}, "spec.mode", "Auto", "Automatic", "Manual"),
    app("a pause without an end", {"paused": {"reason": "move"}}, "spec.paused.until", "equired"),
    app("a pause until tomorrow", {"paused.until": "tomorrow"}, "spec.paused.until", '"tomorrow"', "RFC 3339"),
    app("no time zone", {"paused.until": "2030-01-31T18:00:00"}, "spec.paused.until", "such as 2030-01-31T18:00:00Z"),
    app("a day that never comes", {"paused.until": "2030-02-30T18:00:00Z"}, "spec.paused.until", "2030-02-30"),
    app("a drain of hours", {"drain.timeout": "61m"}, "spec.drain.timeout", "61m", "at most 1h"),
    app("a drain without time", {"drain.timeout": "0s"}, "spec.drain.timeout", "0s", "more than 0s"),
    app("a drain in words", {"drain.timeout": "300msec"}, "spec.drain.timeout", '"300msec"', UNITS),
    app("an edition with capitals", {"edition": "V1"}, "spec.edition", '"V1"', "lower-case", "such as v1"),
    app("an edition with a dot", {"edition": "1.0"}, "spec.edition", '"1.0"', "letters, digits"),
    app("an edition that is too long", {"edition": "v" * 31}, "spec.edition", "30"),
    app("a pool with capitals", {"pool": "Main"}, "spec.pool", '"Main"', "lower-case"),
    app("no policy", {"sla": {}}, "spec.sla.policy", "equired"),
    app("a bad cookie", {"affinity": {"cookie": "a b"}}, "spec.affinity.cookie", '"a b"', "letters, digits"),
    app("affinity by nothing", {"affinity": {}}, "spec.affinity.cookie", "equired"),
    app("no routes", {"routes": []}, "spec.routes", "1"),
    app("too many routes", {"routes": [{"host": f"h{n}"} for n in range(17)]}, "spec.routes", "16"),
    app("a host with a port", {"routes": [{"host": "a.b:80"}]}, "spec.routes[0].host", '"a.b:80"', "without scheme"),
    app("a URL as a host", {"routes": [{"host": "http://a"}]}, "spec.routes[0].host", '"http://a"', "scheme"),
    app("a host with capitals", {"routes": [{"host": "A.b"}]}, "spec.routes[0].host", '"A.b"', "lower case"),
    app("a wildcard host", {"routes": [{"host": "*.b"}]}, "spec.routes[0].host", '"*.b"', "shop.example.com"),
    app("a host with an empty label", {"routes": [{"host": "a..b"}]}, "spec.routes[0].host", '"a..b"'),
    app(
        "a relative path",
        {"routes": [{"host": "a"}, {"host": "b", "pathPrefix": "cart"}]},
        "spec.routes[1].pathPrefix",
        '"cart" is not a path prefix',
        "such as /shop",
    ),
    app(
        "a path that ends with a slash",
        {"routes": [{"host": "a", "pathPrefix": "/cart/"}]},
        "spec.routes[0].pathPrefix",
        '"/cart/"',
        "without a slash at the end",
    ),
    app("a path and query", {"routes": [{"host": "a", "pathPrefix": "/a?b"}]}, "spec.routes[0].pathPrefix", '"/a?b"'),
    app("a route twice", {"routes": [{"host": "a.b"}, {"host": "a.b"}]}, "spec.routes", "a.b"),
    app(
        "a route twice, once with the default written out",
        {"routes": [{"host": "a.b"}, {"host": "a.b", "pathPrefix": "/"}]},
        "spec.routes",
        "a.b",
    ),
    app(
        "source prometheus without a preset",
        {"sla.source": "prometheus"},
        "spec.sla.prometheus",
        "source prometheus needs prometheus.preset",
        "envoy, nginx-ingress, istio or open-liberty",
    ),
    app(
        "a preset without source prometheus",
        {"sla.prometheus": {"preset": "istio"}},
        "spec.sla.prometheus",
        "preset istio would be ignored with source router",
        "set source to prometheus",
    ),
    app(
        "a preset that nobody knows",
        {"sla.source": "prometheus", "sla.prometheus": {"preset": "traefik"}},
        "spec.sla.prometheus.preset",
        "traefik",
        "nginx-ingress",
    ),
    app(
        "PromQL in a label's name",
        {"sla.source": "prometheus", "sla.prometheus": {"preset": "istio", "labels": {'a="b"} or x{c': "d"}}},
        "spec.sla.prometheus.labels",
        'a="b"} or x{c',
        "letters, digits and _",
    ),
    app(
        "too many labels",
        {
            "sla.source": "prometheus",
            "sla.prometheus": {"preset": "istio", "labels": {f"l{n}": "v" for n in range(17)}},
        },
        "spec.sla.prometheus.labels",
        "16",
    ),
    app("an unknown source", {"sla.source": "guess"}, "spec.sla.source", "guess", "router", "prometheus"),
    app("a template without containers", {"template": {"spec": {}}}, "spec.template.spec.containers", "equired"),
    app("a template of nothing", {"template": {"spec": {"containers": []}}}, "spec.template.spec.containers", "1"),
    app("no template", {"template": ABSENT}, "spec.template", "equired"),
    Bad(
        "an edition without a template",
        EDITION,
        {"template": ABSENT},
        "spec.template",
        ("equired",),
    ),
)  # fmt: skip

UNKNOWN_FIELDS = (
    app("a misspelt field", {"afinity": {"cookie": "A"}}, "spec.afinity", "affinity"),
    app("a misspelt field further down", {"servers.maximum": 5}, "spec.servers.maximum", "max"),
    app("a misspelt field in a list", {"routes": [{"host": "a", "path": "/"}]}, "spec.routes[0].path", "pathPrefix"),
    sla("a field that is not built yet", {"preemptible": True}, "spec.preemptible", "importance"),
)  # fmt: skip

GOOD = (
    ("the shortest app", manifest(ELASTICAPP)),
    ("as many servers at most as at least", manifest(ELASTICAPP, {"servers": {"min": 3, "max": 3}})),
    ("an app parked by hand", manifest(ELASTICAPP, {"mode": "Manual", "replicas": 0})),
    (
        "an app with everything",
        manifest(
            ELASTICAPP,
            {
                "sla.source": "prometheus",
                "sla.prometheus": {"preset": "open-liberty", "labels": {"app": 'a "quoted" \\ value'}},
                "paused": {"until": "2030-01-31T18:00:00.5+01:00", "reason": "the database moves"},
                "routes": [
                    {"host": "shop.example.com"},
                    {"host": "shop.example.com", "pathPrefix": "/cart/v2"},
                    {"host": "127.0.0.1", "pathPrefix": "/~a"},
                ],
                "affinity": {"cookie": "MILLPOND"},
                "drain": {"timeout": "1h"},
                "template.metadata": {"labels": {"team": "red"}, "annotations": {"a": "b"}},
                "template.spec.nodeSelector": {"disk": "fast"},
            },
        ),
    ),
    ("a goal of 5 minutes", manifest(SLAPOLICY, goal(AVERAGE, target="5m"))),
    ("a goal of a millisecond", manifest(SLAPOLICY, goal(AVERAGE, target="1ms"))),
    ("a goal in parts", manifest(SLAPOLICY, goal(PERCENTILE, target="1m1.5s", percentile=99))),
    ("no goal", manifest(SLAPOLICY, goal(NONE))),
    ("a policy for two namespaces", manifest(SLAPOLICY, {"allowedNamespaces": ["a", "b-2"]})),
    ("a pool of all nodes", manifest(DYNAMICPOOL, {"nodeSelector": {}, "zone": "Static"})),
    ("a pool by several labels", manifest(DYNAMICPOOL, {"nodeSelector": {"a.b/c-d": "E_f.g", "x": ""}})),
    ("an edition", manifest(EDITION)),
)
