"""The real API server takes what is right, and says about anything else what would be."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.manifests import BAD, GOOD, MODULES, TEMPLATE, UNKNOWN_FIELDS, Bad, Manifest, manifest
from api.server import Refused, Server
from millpond import paths
from millpond.api.names import DYNAMICPOOL, EDITION, ELASTICAPP, SLAPOLICY
from millpond.cluster.embedded import Cluster, KubectlError
from waiting import eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def policy(server: Server) -> Iterator[Manifest]:
    """A SLAPolicy of its own name, deleted afterwards: it is cluster-wide."""
    made = manifest(SLAPOLICY, name=f"test-{secrets.token_hex(4)}")
    server.create(made)
    yield made
    server.delete(made)


@pytest.fixture
def app(server: Server) -> Manifest:
    """An ElasticApp that exists."""
    made = manifest(ELASTICAPP)
    server.create(made)
    return made


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.story) for bad in BAD])
def test_a_bad_manifest_is_refused_with_field_value_and_what_is_right(dry: Server, bad: Bad) -> None:
    with pytest.raises(Refused) as refused:
        dry.create(bad.manifest, dry_run=True)
    message = str(refused.value)
    assert bad.field in message
    assert not [word for word in bad.says if word not in message], message


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.story) for bad in UNKNOWN_FIELDS])
def test_an_unknown_field_is_refused_by_name(dry: Server, bad: Bad) -> None:
    with pytest.raises(Refused, match="unknown field") as refused:
        dry.create(bad.manifest, dry_run=True)
    assert f'unknown field "{bad.field}"' in str(refused.value)


def test_kubectl_apply_refuses_unknown_fields_without_being_asked_to(cluster: Cluster) -> None:
    with pytest.raises(KubectlError, match=r'unknown field "spec\.afinity"'):
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(UNKNOWN_FIELDS[0].manifest))


@pytest.mark.parametrize("good", [pytest.param(good, id=story) for story, good in GOOD])
def test_a_good_manifest_is_taken_and_means_the_same_to_server_and_operator(
    dry: Server, good: Manifest
) -> None:
    parse = MODULES[good["kind"]].parse
    stored = dry.create(good, dry_run=True)
    assert parse(stored) == parse(good)


def test_the_server_fills_in_the_same_defaults_as_the_operator(dry: Server) -> None:
    for kind in (ELASTICAPP, SLAPOLICY, DYNAMICPOOL):
        stored = dry.create(manifest(kind), dry_run=True)["spec"]
        assert stored == MODULES[kind].parse(manifest(kind)).to_raw() | {
            key: stored[key] for key in ("template",) if key in stored
        }


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("shop.v1", id="a dot"),
        pytest.param("s" * 64, id="64 characters"),
    ],
)
def test_an_app_is_named_like_a_label_because_its_pods_carry_it_as_one(dry: Server, name: str) -> None:
    with pytest.raises(Refused) as refused:
        dry.create(manifest(ELASTICAPP, name=name), dry_run=True)
    assert f'metadata.name: Invalid value: "{name}" cannot name an ElasticApp' in str(refused.value)


def _spoil(part: str, value: Any) -> Manifest:
    return {"spec": {"template": {**TEMPLATE, part: value}}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(
            _spoil("spec", {"containers": [{"name": "app", "image": "example/shop:2"}]}),
            "container app",
            id="another image",
        ),
        pytest.param(
            _spoil("spec", {"containers": [*TEMPLATE["spec"]["containers"], {"name": "log", "image": "a"}]}),
            "container log",
            id="one container more",
        ),
        pytest.param(
            _spoil("metadata", {"labels": {"a": "b"}}), "something else than a container", id="a label"
        ),
        pytest.param(
            {"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}},
            "something else than a container",
            id="a node selector",
        ),
        pytest.param(
            {"spec": {"template": {"spec": {"containers": [{"name": "app"}]}}}},
            "container app",
            id="a field taken out",
        ),
    ],
)
def test_a_changed_template_needs_a_new_edition_name(
    server: Server, app: Manifest, change: Manifest, says: str
) -> None:
    with pytest.raises(Refused) as refused:
        server.patch(app, change)
    message = str(refused.value)
    assert f'spec.edition: "v1" is unchanged, but spec.template is not ({says})' in message
    assert 'a new edition name, such as "v1-2"' in message
    renamed = {"spec": change["spec"] | {"edition": "v2"}}
    assert server.patch(app, renamed)["spec"]["edition"] == "v2"


def test_everything_but_the_template_changes_under_the_same_edition(server: Server, app: Manifest) -> None:
    change = {"servers": {"max": 9}, "mode": "Manual", "replicas": 2, "drain": {"timeout": "1m"}, "port": 81}
    changed = server.patch(app, {"spec": change})["spec"]
    assert {key: changed[key] for key in change} == change | {"servers": {"min": 1, "max": 9}}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"edition": "v2"}, "(edition)", id="its name"),
        pytest.param({"app": "other"}, "(app)", id="its app"),
        pytest.param({"templateHash": "9"}, "(templateHash)", id="its hash"),
        pytest.param({"template": {"spec": {"nodeSelector": {"a": "b"}}}}, "(template)", id="its template"),
    ],
)
def test_the_spec_of_an_edition_never_changes(server: Server, change: Manifest, says: str) -> None:
    made = manifest(EDITION, name="shop-v1")
    server.create(made)
    with pytest.raises(Refused) as refused:
        server.patch(made, {"spec": change})
    assert f'spec of Edition "shop-v1" cannot change {says}' in str(refused.value)
    assert 'change spec.edition and spec.template of ElasticApp "shop" instead' in str(refused.value)
    assert server.patch(made, {"metadata": {"labels": {"a": "b"}}})["metadata"]["labels"] == {"a": "b"}


def test_what_was_learned_about_an_edition_is_kept_as_it_was_written(server: Server) -> None:
    made, learned = manifest(EDITION, name="shop-v1"), {"rate": {"at": 1.5}, "seen": [1, None]}
    server.create(made)
    written = server.patch(made, {"status": {"state": "Active", "learned": learned}}, part="status")
    assert written["status"] == {"state": "Active", "learned": learned}


def test_status_and_spec_are_written_apart(server: Server, app: Manifest) -> None:
    both = {"spec": {"port": 81}, "status": {"replicas": 3}}
    assert "status" not in server.patch(app, {"status": both["status"]})
    written = server.patch(app, both, part="status")
    assert (written["spec"]["port"], written["status"]) == (8080, {"replicas": 3})


def test_a_full_status_is_taken_as_it_is_and_stays_below_what_an_annotation_holds(
    server: Server, app: Manifest
) -> None:
    decision = {
        "at": "2030-01-31T18:00:00Z",
        "edition": "v1",
        "action": "Grow",
        "reason": "GoalExceeded",
        "servers": 1,
        "wanted": 2,
        "needed": 3,
        "limitedBy": "AtCeiling",
        "inputs": {f"input_{n}": "1234.5" for n in range(32)},
        "refused": [{"servers": 3, "reason": "AtCeiling"}],
        "message": "order 1 more",
    }
    condition = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NoSamples",
        "message": "m" * 5000,
        "lastTransitionTime": "2030-01-31T18:00:00Z",
        "observedGeneration": 1,
    }
    status = {
        "observedGeneration": 1,
        "edition": "v1",
        "replicas": 2,
        "selector": "millpond.dev/app=shop",
        "servers": {"desired": 2, "ready": 1, "starting": 1, "draining": 0},
        "goal": "average ≤ 300 ms",
        "conditions": [condition | {"type": f"Ready{n}"} for n in range(20)],
        "decisions": [decision] * 20,
    }
    written = server.patch(app, {"status": status}, part="status")
    assert written["status"] == status
    assert len(json.dumps(written)) < 262_144


def test_more_than_twenty_decisions_are_refused(server: Server, app: Manifest) -> None:
    with pytest.raises(Refused, match=r"status\.decisions: Too many: 21"):
        server.patch(app, {"status": {"decisions": [{}] * 21}}, part="status")


def test_kubectl_scale_sets_the_servers_of_manual_mode(
    server: Server, cluster: Cluster, app: Manifest
) -> None:
    server.patch(app, {"status": {"replicas": 2, "selector": "millpond.dev/app=shop"}}, part="status")
    cluster.kubectl("scale", "eapp/shop", "--replicas=3", f"--namespace={server.namespace}")
    assert server.get(app)["spec"]["replicas"] == 3
    scale = server.get(app, part="scale")
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 2, "selector": "millpond.dev/app=shop"}


@pytest.mark.parametrize(
    ("what", "wide", "header"),
    [
        pytest.param("eapp", False, "NAME EDITION GOAL DESIRED SERVING MIN MAX SLAMET READY AGE", id="apps"),
        pytest.param("ed", False, "NAME APP EDITION STATE SERVERS AGE", id="editions"),
        pytest.param("ed", True, "NAME APP EDITION STATE SERVERS AGE IMAGE HASH", id="editions, wide"),
        pytest.param("sla", False, "NAME GOAL TARGET PERCENTILE IMPORTANCE CLASS AGE", id="policies"),
    ],
)
def test_kubectl_get_shows_what_people_look_for(
    server: Server, cluster: Cluster, app: Manifest, policy: Manifest, what: str, wide: bool, header: str
) -> None:
    server.create(manifest(EDITION, name="shop-v1"))
    wanted = [f"--namespace={server.namespace}", *(["--output=wide"] if wide else [])]
    first, *_ = cluster.kubectl("get", what, *wanted).splitlines()
    assert first.split() == header.split()


def test_an_app_reads_like_a_sentence_in_kubectl_get(server: Server, cluster: Cluster, app: Manifest) -> None:
    conditions = [
        {"type": kind, "status": status, "reason": "A", "lastTransitionTime": "2030-01-31T18:00:00Z"}
        for kind, status in (("Ready", "True"), ("SLAMet", "False"))
    ]
    status = {"goal": "average ≤ 300ms", "servers": {"desired": 3, "ready": 2}, "conditions": conditions}
    server.patch(app, {"status": status}, part="status")
    shown = cluster.kubectl("get", "eapp", "--no-headers", f"--namespace={server.namespace}").split()
    assert shown[:-1] == ["shop", "v1", "average", "≤", "300ms", "3", "2", "1", "4", "False", "True"]


def test_all_kinds_are_found_by_category_and_short_names(cluster: Cluster) -> None:
    found = cluster.kubectl("api-resources", "--categories=millpond", "--no-headers")
    names = {tuple(line.split()[:2]) for line in found.splitlines()}
    assert names == {
        ("elasticapps", "eapp"),
        ("editions", "ed"),
        ("slapolicies", "sla"),
        ("dynamicpools", "pool,dpool"),
    }


def test_kubectl_explain_tells_units_and_limits(cluster: Cluster) -> None:
    told = " ".join(cluster.kubectl("explain", "slapolicy.spec.goal").split())
    assert "such as 300ms: more than 0, at most 5m" in told


SHIPPED = [*sorted(paths.catalog().glob("*.yaml")), *sorted(paths.examples().glob("**/*.yaml"))]


def _millpond_objects(file: Path) -> list[Manifest]:
    documents = [d for d in yaml.safe_load_all(file.read_text()) if d]
    return [d for d in documents if d.get("apiVersion", "").startswith("millpond.dev/")]


@pytest.mark.parametrize(
    "shipped",
    [
        pytest.param(found, id=f"{file.parent.name}/{file.stem} {found['metadata']['name']}")
        for file in SHIPPED
        for found in _millpond_objects(file)
    ],
)
def test_what_we_ship_is_taken(dry: Server, shipped: Manifest) -> None:
    shipped["metadata"].pop("namespace", None)
    assert MODULES[shipped["kind"]].parse(dry.create(shipped, dry_run=True))


def test_the_catalog_is_applied_in_one_go(cluster: Cluster) -> None:
    told = cluster.kubectl("apply", "--dry-run=server", "--kustomize", str(paths.catalog()), "--output=name")
    files = {path.stem for path in paths.catalog().glob("*.yaml")} - {"kustomization"}
    assert {line.rpartition("/")[2] for line in told.split()} == files
    assert files >= {"gold", "silver", "bronze", "gold-p95", "test", "discretionary"}


@pytest.mark.parametrize(
    ("verb", "resource", "where", "may"),
    [
        pytest.param("watch", "elasticapps.millpond.dev", "--all-namespaces", True, id="it watches apps"),
        pytest.param("patch", "elasticapps.millpond.dev/status", "default", True, id="it writes their status"),
        pytest.param("create", "editions.millpond.dev", "default", True, id="it makes editions"),
        pytest.param("create", "pods", "default", True, id="it tries pods out"),
        pytest.param("patch", "pods/status", "default", True, id="it opens and closes the gate"),
        pytest.param("update", "leases.coordination.k8s.io/millpond-operator", "millpond-system", True, id="its lease"),
        pytest.param("update", "leases.coordination.k8s.io/other", "millpond-system", False, id="no other lease"),
        pytest.param("update", "leases.coordination.k8s.io/millpond-operator", "default", False, id="nor elsewhere"),
        pytest.param("get", "secrets", "default", False, id="no secrets"),
        pytest.param("delete", "pods", "default", False, id="it deletes no pods"),
        pytest.param("delete", "elasticapps.millpond.dev", "default", False, id="it deletes no apps"),
        pytest.param("create", "pods/exec", "default", False, id="it runs nothing in pods"),
        pytest.param("patch", "nodes", "--all-namespaces", False, id="it changes no nodes"),
    ],
)  # fmt: skip
def test_the_operator_may_do_what_it_needs_and_no_more(
    cluster: Cluster, verb: str, resource: str, where: str, may: bool
) -> None:
    resource, _, part = resource.partition("/")
    named = f"{resource}/{part}" if part.startswith(("millpond", "other")) else resource
    sub = [f"--subresource={part}"] if part and named == resource else []
    scope = where if where.startswith("--") else f"--namespace={where}"
    who = "--as=system:serviceaccount:millpond-system:millpond-operator"
    try:
        answer = cluster.kubectl("auth", "can-i", verb, named, *sub, scope, who)
    except KubectlError:  # kubectl's way to say no
        answer = "no"
    assert (answer.split()[0] == "yes") is may


@pytest.mark.parametrize(
    ("role", "may"),
    [
        pytest.param("edit", {"create elasticapps", "list editions", "patch elasticapps/scale"}, id="edit"),
        pytest.param("view", {"list editions"}, id="view"),
    ],
)
def test_tenants_get_their_rights_with_kubernetes_own_roles(
    cluster: Cluster, namespace: str, role: str, may: set[str]
) -> None:
    cluster.kubectl(
        "create", "rolebinding", "t", f"--clusterrole={role}", "--user=ann", f"--namespace={namespace}"
    )
    asked = {"create elasticapps", "list editions", "patch elasticapps/scale", "create editions"}

    def allowed() -> set[str]:
        return {what for what in asked if _can(cluster, namespace, what)}

    eventually(lambda: allowed() == may, 20, f"the role {role} allows {may}")


def _can(cluster: Cluster, namespace: str, what: str) -> bool:
    verb, _, resource = what.partition(" ")
    plural, _, sub = resource.partition("/")
    rest = [f"--subresource={sub}"] if sub else []
    where = f"--namespace={namespace}"
    try:
        cluster.kubectl("auth", "can-i", verb, f"{plural}.millpond.dev", where, "--as=ann", *rest)
    except KubectlError:
        return False
    return True
