"""Hosts belong to the app that was granted them, within what admins allow its namespace; also across a restart."""

import json
from typing import Any

import pytest

from e2e.product import Product, elastic_app, template
from waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


def contested(product: Product, namespace: str, name: str, reason: str, says: str) -> None:
    """Wait until the condition has this reason, and its message these words."""

    def found() -> bool:
        _, now, message = product.condition(namespace, "Contested", name)
        return now == reason and says in message

    eventually(found, 20, f"{reason}: {says}")


def uncontested(product: Product, namespace: str, name: str) -> None:
    eventually(
        lambda: product.condition(namespace, "Contested", name)[0] == "False", 20, f"{name} has all its hosts"
    )


def edit(product: Product, namespace: str, name: str, **spec: Any) -> None:
    patch = json.dumps({"spec": spec})
    product.cluster.kubectl("patch", f"elasticapp/{name}", "-n", namespace, "--type=merge", "-p", patch)


def test_an_older_app_that_edits_its_routes_does_not_take_a_running_ones_host_nor_after_a_restart(
    product: Product, namespace: str
) -> None:
    old, young = f"old.{namespace}.test", f"young.{namespace}.test"
    few = template(SLOTS="1")
    product.apply(elastic_app(namespace, "older", routes=[{"host": old}], template=few))
    eventually(lambda: product.ask(old).status_code == 200, 40, "the older is served")
    product.apply(elastic_app(namespace, "younger", routes=[{"host": young}], template=few))
    eventually(lambda: product.ask(young).status_code == 200, 40, "the younger is served")
    server = product.ask(young).json()["server"]

    edit(product, namespace, "older", routes=[{"host": old}, {"host": young}])
    contested(product, namespace, "older", "HostTaken", "spec.routes[1]")
    assert (product.ask(young).json()["server"], product.ask(old).status_code) == (server, 200)
    claims = product.app(namespace, "younger")["status"]["claims"]
    assert [(c["host"], c["pathPrefix"]) for c in claims] == [(young, "/")]

    product.crash_operator()
    product.start_operator()
    eventually(lambda: product.healthz().status_code == 200, 20, "the operator is back")
    edit(product, namespace, "older", rollout={"preview": {"host": young}}, routes=[{"host": old}])
    contested(product, namespace, "older", "HostTaken", "spec.rollout.preview.host")
    assert product.ask(young).json()["server"] == server
    assert product.condition(namespace, "Contested", "younger")[0] == "False"

    product.cluster.kubectl("delete", "elasticapp/younger", "-n", namespace)
    uncontested(product, namespace, "older")


def test_admins_say_which_hosts_a_namespace_may_claim_and_take_it_back(
    product: Product, namespace: str
) -> None:
    exact, wildcard = f"shop.{namespace}.test", f"*.{namespace}.test"

    def grant(hosts: str) -> None:
        product.cluster.kubectl(
            "annotate", "--overwrite", "namespace", namespace, f"millpond.dev/hosts={hosts}"
        )

    routes = [{"host": exact}, {"host": wildcard}]
    product.apply(elastic_app(namespace, "app", routes=routes, template=template(SLOTS="1")))
    contested(product, namespace, "app", "HostNotAllowed", f"spec.routes[1]: {wildcard}")
    eventually(lambda: product.ask(exact).status_code == 200, 40, "the host by default")
    assert product.ask(f"any.{namespace}.test").status_code == 404

    grant(f"{exact}, {wildcard}")
    eventually(lambda: product.ask(f"any.{namespace}.test").status_code == 200, 20, "the wildcard")
    grant(exact)
    eventually(lambda: product.ask(f"any.{namespace}.test").status_code == 404, 20, "the wildcard is lost")
    assert product.ask(exact).status_code == 200
    grant("")
    eventually(lambda: product.ask(exact).status_code == 404, 20, "everything is lost")
    contested(product, namespace, "app", "HostNotAllowed", "may claim: none")
    assert product.pods(namespace), "its servers stay"


def test_two_apps_share_a_host_by_path_and_not_one_affinity_cookie(product: Product, namespace: str) -> None:
    host, few = f"both.{namespace}.test", template(SLOTS="1")
    product.apply(
        elastic_app(namespace, "root", routes=[{"host": host}], affinity={"cookie": "CART"}, template=few)
    )
    eventually(lambda: product.ask(host).status_code == 200, 40, "the first is served")
    alone = product.ask(host)
    assert "millpond-edition" in alone.cookies

    routes = [{"host": host, "pathPrefix": "/session"}, {"host": f"own.{namespace}.test"}]
    product.apply(elastic_app(namespace, "deep", routes=routes, affinity={"cookie": "CART"}, template=few))
    contested(product, namespace, "deep", "AffinityCookieTaken", "'CART'")
    eventually(lambda: product.ask(f"own.{namespace}.test").status_code == 200, 40, "its other route goes on")
    assert product.ask(host, "/session").json()["server"].startswith("root-")

    edit(product, namespace, "deep", affinity={"cookie": "DEEP"})
    eventually(
        lambda: product.ask(host, "/session").json()["server"].startswith("deep-"),
        20,
        "the path is the second's",
    )
    uncontested(product, namespace, "deep")
    deep, root = product.ask(host, "/session"), product.ask(host)
    assert root.json()["server"] == alone.json()["server"]
    for answer, cookie in ((deep, "DEEP"), (root, "CART")):
        (edition,) = [name for name in answer.cookies if name.startswith("millpond-edition")]
        assert cookie in answer.cookies
        assert len(edition) == len("millpond-edition-12345678")
    assert not set(deep.cookies) & set(root.cookies)
    (claim,) = product.app(namespace, "root")["status"]["claims"]
    assert claim["since"] <= claim["sharedSince"]
