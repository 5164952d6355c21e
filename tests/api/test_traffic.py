"""What an app says about its traffic: the servers' protocol, and limits of time for each route."""

from typing import Any

import pytest

from millpond.api.checks.parsing import SpecError
from millpond.api.kinds import elasticapp
from millpond.api.names import ELASTICAPP
from millpond.api.protocol import Protocol

from api.manifests import Bad, Manifest, app, manifest
from api.server import Refused, Server

integration = pytest.mark.integration
HOST = "shop.example.com"
UNITS = "write a number with a unit out of ms, s, m, h"


def routes(**limits: Any) -> Manifest:
    return {"routes": [{"host": HOST, "pathPrefix": "/api", **limits}]}


BAD = (
    app("an unknown protocol", {"protocol": "HTTPS"}, "spec.protocol", "HTTPS", "HTTP", "HTTP2", "GRPC"),
    app("a protocol in small letters", {"protocol": "grpc"}, "spec.protocol", "grpc", "GRPC"),
    app("no time at all", routes(timeout="0s"), "spec.routes[0].timeout", "0s", "more than 0s and at most 24h"),
    app("a request of days", routes(timeout="25h"), "spec.routes[0].timeout", "25h is out of range"),
    app("a timeout in words", routes(timeout="a minute"), "spec.routes[0].timeout", '"a minute"', UNITS),
    app("a timeout as a number", routes(timeout=30), "spec.routes[0].timeout", "string"),
    app("no silence at all", routes(idleTimeout="0ms"), "spec.routes[0].idleTimeout", "0ms", "more than 0s"),
    app("silence for days", routes(idleTimeout="24h1ms"), "spec.routes[0].idleTimeout", "24h1ms", "at most 24h"),
    app("silence without a unit", routes(idleTimeout="5"), "spec.routes[0].idleTimeout", '"5"', UNITS),
)  # fmt: skip
GOOD = [
    pytest.param({"protocol": "GRPC"}, id="gRPC"),
    pytest.param({"protocol": "HTTP2"}, id="HTTP/2"),
    pytest.param(routes(timeout="1ms", idleTimeout="24h"), id="the shortest and the longest"),
    pytest.param(
        {
            "routes": [
                {"host": HOST, "timeout": "5s"},
                {"host": HOST, "pathPrefix": "/up", "idleTimeout": "1h"},
            ]
        },
        id="different limits on one host",
    ),
]


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.story) for bad in BAD])
def test_the_operator_refuses_it_with_field_value_and_what_is_right(bad: Bad) -> None:
    with pytest.raises(SpecError) as refused:
        elasticapp.parse(bad.manifest)
    (problem,) = refused.value.problems
    assert problem.startswith(f"{bad.field}: ")
    assert not [word for word in bad.says if word not in problem], problem


@integration
@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.story) for bad in BAD])
def test_the_server_refuses_it_with_field_value_and_what_is_right(dry: Server, bad: Bad) -> None:
    with pytest.raises(Refused) as refused:
        dry.create(bad.manifest, dry_run=True)
    message = str(refused.value)
    assert bad.field in message
    assert not [word for word in bad.says if word not in message], message


@integration
@pytest.mark.parametrize("changes", GOOD)
def test_what_is_right_means_the_same_to_server_and_operator(dry: Server, changes: Manifest) -> None:
    good = manifest(ELASTICAPP, changes)
    assert elasticapp.parse(dry.create(good, dry_run=True)) == elasticapp.parse(good)


def test_an_app_speaks_http_without_limits_unless_it_says_otherwise() -> None:
    plain = elasticapp.parse(manifest(ELASTICAPP))
    assert plain.protocol is Protocol.HTTP
    assert (plain.routes[0].timeout_s, plain.routes[0].idle_timeout_s) == (None, None)
    limited = elasticapp.parse(manifest(ELASTICAPP, routes(timeout="1m30s", idleTimeout="300ms")))
    assert (limited.routes[0].timeout_s, limited.routes[0].idle_timeout_s) == (90.0, 0.3)


@integration
def test_the_protocol_of_an_app_that_exists_stays(server: Server, app: Manifest) -> None:
    with pytest.raises(Refused) as refused:
        server.patch(app, {"spec": {"protocol": "GRPC"}})
    message = str(refused.value)
    assert "spec.protocol: Invalid value" in message
    assert "GRPC differs from HTTP, which the running servers speak: keep HTTP, or make another" in message
    kept = {"spec": {"protocol": "HTTP", "routes": [{"host": HOST, "timeout": "5s"}]}}
    assert server.patch(app, kept)["spec"]["routes"][0]["timeout"] == "5s"
