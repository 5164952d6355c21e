"""Every name of ours that an app could choose for something of its own is refused."""

import pytest

from millpond.api import names
from millpond.api.checks.parsing import SpecError
from millpond.api.checks.reserved import EDITION_HEADER
from millpond.control.observe import objects
from millpond.control.resolve.salvage import salvaged
from millpond.router.config import EDITION_COOKIE, is_streams, streams_name
from millpond.router.envoy.bootstrap import ROUTER_HEADER

from api.manifests import MODULES, Manifest, canary, manifest

KEYS = sorted(
    {
        value
        for module in (names, objects)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and "/" in value and value != names.API_VERSION
    }
)


def refused(changes: Manifest, kind: str = names.ELASTICAPP) -> str:
    with pytest.raises(SpecError) as error:
        MODULES[kind].parse(manifest(kind, changes))
    return str(error.value)


@pytest.mark.parametrize("kind", [names.ELASTICAPP, names.EDITION])
@pytest.mark.parametrize("where", ["labels", "annotations"])
@pytest.mark.parametrize("key", KEYS)
def test_labels_and_annotations_of_ours_are_not_for_templates(key: str, where: str, kind: str) -> None:
    assert f'"{key}" is for Millpond to set' in refused({"template.metadata": {where: {key: "x"}}}, kind)


def test_all_that_we_write_on_pods_was_looked_at() -> None:
    assert {names.LABEL_APP, names.RETIRE_ANNOTATION, objects.DELETION_COST, objects.DECISION_ANNOTATION} <= {
        *KEYS
    }


@pytest.mark.parametrize("cookie", [EDITION_COOKIE, f"{EDITION_COOKIE}-0a1b"])
def test_cookies_of_the_routers_are_not_for_affinity(cookie: str) -> None:
    assert "cookie of the routers" in refused({"affinity.cookie": cookie})


@pytest.mark.parametrize("header", [ROUTER_HEADER, "x-envoy-original-path", "cookie"])
def test_headers_of_the_routers_choose_no_edition(header: str) -> None:
    assert header in refused({"rollout.preview": {"header": header}})
    assert header in refused(canary({"header": {"name": header, "value": "x"}}))


def test_the_header_that_names_editions_is_for_previews() -> None:
    assert MODULES[names.ELASTICAPP].parse(
        manifest(names.ELASTICAPP, {"rollout.preview": {"header": EDITION_HEADER}})
    )


def test_no_edition_has_the_name_of_another_ones_streams() -> None:
    assert is_streams(streams_name("v1"))
    assert "such as v1" in refused({"edition": streams_name("v1")})


def test_an_app_that_was_stored_with_the_routers_own_cookie_is_routed_without_sessions() -> None:
    found = salvaged(manifest(names.ELASTICAPP, {"affinity.cookie": EDITION_COOKIE})["spec"])
    assert found is not None
    assert found.affinity is None
