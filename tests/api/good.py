"""Manifests that are right, with their stories."""

from millpond.api.names import DYNAMICPOOL, EDITION, ELASTICAPP, SLAPOLICY

from api.manifests import AVERAGE, NONE, PERCENTILE, goal, manifest, window

COMMIT = "3f2a1b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a"

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
                    {"host": "*.shop.example"},
                    {"host": "*", "pathPrefix": "/health"},
                    {"host": "xn--bcher-kva.example"},
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
                    "emergencyEdition": "v2",
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
    (
        "names that only look like those of Millpond",
        manifest(
            ELASTICAPP,
            {
                "affinity.cookie": "MILLPOND-edition",
                "rollout.preview": {"header": "x-millpond"},
                "template.metadata": {
                    "labels": {"notmillpond.dev/app": "a"},
                    "annotations": {"millpond.developers/x": "a", "millpond.dev": "b"},
                },
                "template.spec.readinessGates": [{"conditionType": "millpond.dev/serving"}],
            },
        ),
    ),
    ("an edition named like a commit", manifest(ELASTICAPP, {"edition": COMMIT})),
    ("an edition named like a release", manifest(ELASTICAPP, {"edition": "1.2.3"})),
    ("an edition named like a build", manifest(ELASTICAPP, {"edition": "v1.2.3-RC1_7"})),
    ("an edition of a release", manifest(EDITION, {"edition": "1.2.3"})),
    (
        "the promotion of a commit",
        manifest(ELASTICAPP, {"rollout.promote": {"edition": COMMIT}, "rollout.abort": COMMIT}),
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
