"""The real API server takes what is right, and says about anything else what would be."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from millpond import paths
from millpond.api.names import DYNAMICPOOL, EDITION, ELASTICAPP, SLAPOLICY
from millpond.local.cluster.embedded import Cluster, KubectlError

from api.bad_apps import BAD_APPS, UNKNOWN_FIELDS
from api.bad_policies import BAD_POLICIES
from api.good import GOOD
from api.manifests import MODULES, TEMPLATE, Bad, Manifest, manifest
from api.server import Refused, Server

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.story) for bad in (*BAD_POLICIES, *BAD_APPS)])
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
        assert stored == MODULES[kind].parse(manifest(kind)).to_raw()


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
    admission: None, server: Server, app: Manifest, change: Manifest, says: str
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
def test_the_spec_of_an_edition_never_changes(
    admission: None, server: Server, change: Manifest, says: str
) -> None:
    made = manifest(EDITION, name="shop-v1")
    server.create(made)
    with pytest.raises(Refused) as refused:
        server.patch(made, {"spec": change})
    assert f'spec of Edition "shop-v1" cannot change {says}' in str(refused.value)
    assert 'change spec.edition and spec.template of ElasticApp "shop" instead' in str(refused.value)
    assert server.patch(made, {"metadata": {"labels": {"a": "b"}}})["metadata"]["labels"] == {"a": "b"}


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
