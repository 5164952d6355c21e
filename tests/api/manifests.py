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


def canary(*steps: Manifest) -> Manifest:
    return {"rollout": {"strategy": "Canary", "steps": list(steps)}}


def window(**changes: Any) -> Manifest:
    return {"changeWindows": [{"start": "00:00", "end": "06:00", "timeZone": "Europe/Berlin"} | changes]}


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
    app(
        "sessions that end after the drain",
        {"affinity.cookie": "A", "drain": {"timeout": "1m", "sessionTimeout": "61s"}},
        "spec.drain.sessionTimeout",
        "sessionTimeout 61s is longer than timeout 1m",
        "lower sessionTimeout to 1m or less, or raise timeout",
    ),
    app(
        "sessions longer than the drain that is the default",
        {"affinity.cookie": "A", "drain": {"sessionTimeout": "31s"}},
        "spec.drain.sessionTimeout",
        "sessionTimeout 31s is longer than timeout 30s",
    ),
    app(
        "the end of sessions that nobody has",
        {"drain.sessionTimeout": "10s"},
        "spec.drain.sessionTimeout",
        "sessionTimeout 10s would be ignored without affinity",
        "set affinity.cookie, or remove sessionTimeout",
    ),
    app("sessions of no time", {"affinity.cookie": "A", "drain.sessionTimeout": "0s"},
        "spec.drain.sessionTimeout", "0s", "more than 0s and at most 1h"),
    app("sessions in words", {"affinity.cookie": "A", "drain.sessionTimeout": "5 minutes"},
        "spec.drain.sessionTimeout", '"5 minutes"', UNITS),
    app(
        "streams that end before requests",
        {"drain": {"timeout": "1m", "streamTimeout": "59s"}},
        "spec.drain.streamTimeout",
        "streamTimeout 59s is shorter than timeout 1m",
        "raise streamTimeout to 1m or more, or remove it",
    ),
    app("streams of days", {"drain.streamTimeout": "25h"}, "spec.drain.streamTimeout", "25h", "at most 24h"),
    app("a history beyond reason", {"historyLimit": 51}, "spec.historyLimit", "51", "less than or equal to 50"),
    app("less than no history", {"historyLimit": -1}, "spec.historyLimit", "-1", "greater than or equal to 0"),
    app("a rollout in a word", {"rollout": "Canary"}, "spec.rollout"),
    app("a rollout as a list", {"rollout": [{"weight": 10}]}, "spec.rollout"),
    app("an unknown strategy", {"rollout.strategy": "Recreate"}, "spec.rollout.strategy", "Recreate", "Rolling",
        "Atomic", "Canary", "BlueGreen"),
    app("a group of nobody", {"rollout.groupSize": 0}, "spec.rollout.groupSize", "0", "greater than or equal to 1"),
    app("too large a group", {"rollout.groupSize": 101}, "spec.rollout.groupSize", "101", "equal to 100"),
    app("a group in words", {"rollout.groupSize": "25%"}, "spec.rollout.groupSize", "integer"),
    app(
        "steps without a canary",
        {"rollout": {"strategy": "Rolling", "steps": [{"weight": 10}]}},
        "spec.rollout.steps",
        "steps would be ignored with strategy Rolling",
        "remove steps, or set strategy to Canary",
    ),
    app("no steps", canary(), "spec.rollout.steps", "1"),
    app("21 steps", canary(*({"weight": n} for n in range(1, 22))), "spec.rollout.steps", "20"),
    app(
        "weights that fall",
        canary({"weight": 50}, {"weight": 10}),
        "spec.rollout.steps",
        "weights [50, 10] do not rise",
        "such as 10, 50",
    ),
    app("a weight twice", canary({"weight": 10}, {"weight": 10}), "spec.rollout.steps", "weights [10, 10] do not"),
    app(
        "weights that fall around a header",
        canary({"weight": 9}, {"header": {"name": "x-canary", "value": "yes"}}, {"weight": 8}),
        "spec.rollout.steps",
        "weights [9, 8] do not rise",
    ),
    app("all requests in a step", canary({"weight": 100}), "spec.rollout.steps[0].weight", "100", "equal to 99"),
    app("no requests in a step", canary({"weight": 0}), "spec.rollout.steps[0].weight", "0", "equal to 1"),
    app(
        "a step of nothing",
        canary({"weight": 10}, {"pause": "1m"}),
        "spec.rollout.steps[1].weight",
        "a step needs a weight, the percentage of new sessions from 1 to 99, or a header",
    ),
    app(
        "a step by weight and header",
        canary({"weight": 10, "header": {"name": "x-canary", "value": "yes"}}),
        "spec.rollout.steps[0].header",
        "header x-canary and weight 10 in one step",
        "remove one of them, or make two steps",
    ),
    app("a header without a value", canary({"header": {"name": "x-canary"}}), "spec.rollout.steps[0].header.value",
        "equired"),
    app("a header with capitals", canary({"header": {"name": "X-Canary", "value": "yes"}}),
        "spec.rollout.steps[0].header.name", '"X-Canary"', "lower case"),
    app("the host as a header", canary({"header": {"name": "host", "value": "a.b"}}),
        "spec.rollout.steps[0].header.name", '"host" is no header', "such as x-canary"),
    app("a value with a space at its end", canary({"header": {"name": "x-canary", "value": "yes "}}),
        "spec.rollout.steps[0].header.value", '"yes "', "printable ASCII"),
    app("a pause of days", canary({"weight": 10, "pause": "25h"}), "spec.rollout.steps[0].pause", "25h",
        "at least 0s and at most 24h"),
    app("a pause in words", canary({"weight": 10, "pause": "a while"}), "spec.rollout.steps[0].pause",
        '"a while"', UNITS),
    app("an approval in words", canary({"weight": 10, "approval": "yes"}), "spec.rollout.steps[0].approval", "boolean"),
    app(
        "a preview for nobody",
        {"rollout.preview": {"servers": 1}},
        "spec.rollout.preview.header",
        "a preview needs a header, such as x-millpond-edition, or a host, or both",
    ),
    app(
        "more servers for a preview than there may be",
        {"rollout.preview": {"header": "x-edition", "servers": 5}},
        "spec.rollout.preview.servers",
        "5 is more than servers.max 4",
        "lower it to 4 or less, or raise servers.max",
    ),
    app("no servers for a preview", {"rollout.preview": {"header": "x-edition", "servers": 0}},
        "spec.rollout.preview.servers", "0", "greater than or equal to 1"),
    app(
        "a preview on a host of the app",
        {"rollout.preview": {"host": "shop.example.com"}},
        "spec.rollout.preview.host",
        '"shop.example.com" is a host of routes',
        "choose another host, such as preview.shop.example.com",
    ),
    app("a preview on a URL", {"rollout.preview": {"host": "http://a"}}, "spec.rollout.preview.host",
        '"http://a"', "without scheme"),
    app("a preview header with a colon", {"rollout.preview": {"header": "x:y"}}, "spec.rollout.preview.header",
        '"x:y"', "such as x-canary"),
    app("a soak of days", {"rollout.soak": "24h1ms"}, "spec.rollout.soak", "24h1ms", "at least 0s and at most 24h"),
    app("a deadline that nobody keeps", {"rollout.deadline": "9s"}, "spec.rollout.deadline", "9s",
        "at least 10s and at most 24h"),
    app("a deadline of days", {"rollout.deadline": "48h"}, "spec.rollout.deadline", "48h", "at most 24h"),
    app("a verdict from nine requests", {"rollout.analysis.minRequests": 9}, "spec.rollout.analysis.minRequests",
        "9", "greater than or equal to 10"),
    app("a verdict that never comes", {"rollout.analysis.minRequests": 1_000_001},
        "spec.rollout.analysis.minRequests", "1000001", "less than or equal to 1000000"),
    app("a promotion of nothing", {"rollout.promote": {"step": 1}}, "spec.rollout.promote.edition", "equired"),
    app("a promotion of a version that cannot be", {"rollout.promote": {"edition": "V 2"}},
        "spec.rollout.promote.edition", '"V 2"', "such as v1"),
    app("a promotion beyond all steps", {"rollout.promote": {"edition": "v2", "step": 21}},
        "spec.rollout.promote.step", "21", "less than or equal to 20"),
    app("an abort of a version that cannot be", {"rollout.abort": "v2.0"}, "spec.rollout.abort", '"v2.0"',
        "letters, digits"),
    app("an emergency without end", {"rollout.emergency": "x" * 257}, "spec.rollout.emergency", "256"),
    app("no windows at all", {"changeWindows": []}, "spec.changeWindows", "1"),
    app("a window without an end", {"changeWindows": [{"start": "00:00"}]}, "spec.changeWindows[0].end", "equired"),
    app("an hour that does not exist", window(start="24:00"), "spec.changeWindows[0].start", '"24:00"',
        "hours from 00 to 23", "such as 06:00"),
    app("an hour of one digit", window(end="6:00"), "spec.changeWindows[0].end", '"6:00"', "such as 06:00"),
    app("an hour without minutes", window(end="06"), "spec.changeWindows[0].end", '"06"', "such as 06:00"),
    app("a minute that does not exist", window(end="06:60"), "spec.changeWindows[0].end", '"06:60"', "minutes"),
    app("a day in full", window(days=["Monday"]), "spec.changeWindows[0].days[0]", "Monday", "Mon", "Sun"),
    app("a window on no day", window(days=[]), "spec.changeWindows[0].days", "1"),
    app("a day twice", window(days=["Mon", "Mon"]), "spec.changeWindows[0].days", "Mon"),
    app("a zone as an offset", window(timeZone="+01:00"), "spec.changeWindows[0].timeZone", '"+01:00"',
        "such as Europe/Berlin"),
    app("a path for a zone", window(timeZone="../etc/passwd"), "spec.changeWindows[0].timeZone", '"../etc/passwd"',
        "IANA"),
    pool("an hour that does not exist, for a pool", window(start="25:00"), "spec.changeWindows[0].start", '"25:00"',
         "such as 06:00"),
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
    (
        "a canary with everything",
        manifest(
            ELASTICAPP,
            {
                "historyLimit": 0,
                "affinity.cookie": "MILLPOND",
                "drain": {"timeout": "1m", "sessionTimeout": "60s", "streamTimeout": "24h"},
                "rollout": {
                    "strategy": "Canary",
                    "groupSize": 2,
                    "steps": [
                        {"header": {"name": "x-canary", "value": "yes, please"}, "approval": True},
                        {"weight": 1, "pause": "0s"},
                        {"weight": 99, "pause": "24h"},
                    ],
                    "approval": True,
                    "preview": {"header": "x-millpond-edition", "host": "preview.shop.example", "servers": 4},
                    "soak": "0s",
                    "deadline": "10s",
                    "analysis": {"minRequests": 10},
                    "paused": True,
                    "promote": {"edition": "v2", "step": 1},
                    "abort": "v3",
                    "emergency": 'the shop is down; "all" of it',
                    "major": True,
                },
                "changeWindows": [
                    {"start": "22:00", "end": "06:00", "timeZone": "Europe/Berlin", "days": ["Mon", "Tue"]},
                    {"start": "00:00", "end": "00:00", "timeZone": "America/Argentina/Buenos_Aires"},
                    {"start": "12:00", "end": "13:00", "timeZone": "Etc/GMT-5", "days": ["Sun"]},
                ],
            },
        ),
    ),
    ("a canary with the usual steps", manifest(ELASTICAPP, {"rollout.strategy": "Canary"})),
    ("streams that drain as long as requests", manifest(ELASTICAPP, {"drain.streamTimeout": "30s"})),
    ("a pool with a change window", manifest(DYNAMICPOOL, window())),
    ("a goal of 5 minutes", manifest(SLAPOLICY, goal(AVERAGE, target="5m"))),
    ("a goal of a millisecond", manifest(SLAPOLICY, goal(AVERAGE, target="1ms"))),
    ("a goal in parts", manifest(SLAPOLICY, goal(PERCENTILE, target="1m1.5s", percentile=99))),
    ("no goal", manifest(SLAPOLICY, goal(NONE))),
    ("a policy for two namespaces", manifest(SLAPOLICY, {"allowedNamespaces": ["a", "b-2"]})),
    ("a pool of all nodes", manifest(DYNAMICPOOL, {"nodeSelector": {}, "zone": "Static"})),
    ("a pool by several labels", manifest(DYNAMICPOOL, {"nodeSelector": {"a.b/c-d": "E_f.g", "x": ""}})),
    ("an edition", manifest(EDITION)),
)
