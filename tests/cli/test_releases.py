"""What the verbs read and write, with faults and other writers in between."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from millpond.cli.releases import Edit, Missing, Releases, said
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import ApiError, Conflict, Unavailable

from cli.staged import manifest
from kube.fault_proxy import FaultProxy, Hang, LoseAnswer, Reset, Seen, Status
from waiting import eventually_async

pytestmark = pytest.mark.integration
APP = manifest()
PAUSE = Edit(rollout={"paused": True}, says="paused")


@pytest.fixture
async def app(api: Api, namespace: str) -> Object:
    async def created() -> Object:
        return await api.create(paths.elasticapps(namespace), APP)

    return await eventually_async(created, 20, "custom resources are served")


@pytest.fixture
def releases(app: Object, proxied: Api, namespace: str) -> Releases:
    """They reach the API server through the proxy."""
    return Releases(proxied, namespace, "web")


def writes(seen: Seen) -> bool:
    return seen.verb == "PATCH" and "elasticapps" in seen.path


async def tell(api: Api, namespace: str, edition: str) -> None:
    await api.patch(paths.elasticapps(namespace, "web", "status"), {"status": {"edition": edition}})


async def test_a_status_written_meanwhile_does_not_matter(releases: Releases, api: Api) -> None:
    original, told = releases._write, 0

    async def write(app: Object, edit: Edit) -> None:
        nonlocal told
        if told < 2:
            told += 1
            await tell(api, releases.namespace, f"v{told}")
        await original(app, edit)

    releases._write = write
    assert await releases.change(lambda _: PAUSE) == PAUSE
    assert told == 2
    assert (await releases.read())["spec"]["rollout"]["paused"] is True


async def test_a_spec_written_meanwhile_is_a_conflict(releases: Releases, api: Api) -> None:
    calls = 0

    def decide(app: Object) -> Edit:
        nonlocal calls
        calls += 1
        return PAUSE

    original = releases._write

    async def write(app: Object, edit: Edit) -> None:
        await api.patch(paths.elasticapps(releases.namespace, "web"), {"spec": {"servers": {"max": 7}}})
        await original(app, edit)

    releases._write = write
    with pytest.raises(
        Conflict, match="somebody else changed the spec of web at the same moment: nothing was"
    ):
        await releases.change(decide)
    assert calls == 1
    spec = (await releases.read())["spec"]
    assert (spec["servers"]["max"], spec["rollout"]["paused"]) == (7, False)


async def test_a_write_whose_answer_is_lost_is_looked_up(releases: Releases, proxy: FaultProxy) -> None:
    injection = proxy.inject(writes, LoseAnswer(), times=1)
    assert await releases.change(lambda _: PAUSE) == PAUSE
    assert injection.hits == 1
    assert len([seen for seen in proxy.writes() if writes(seen)]) == 1


async def test_a_write_that_did_not_happen_is_said_to_have_failed(
    releases: Releases, proxy: FaultProxy
) -> None:
    proxy.inject(writes, Reset())
    with pytest.raises(Unavailable):
        await releases.change(lambda _: PAUSE)
    assert (await releases.read())["spec"]["rollout"]["paused"] is False


async def test_when_nobody_knows_whether_it_was_written_it_says_so(
    releases: Releases, proxy: FaultProxy
) -> None:
    proxy.inject(writes, LoseAnswer())

    def go_away(_: Seen) -> None:
        proxy.inject(lambda seen: True, Reset())

    proxy.after_write(go_away)
    with pytest.raises(Unavailable, match="it may or may not be done: look with status"):
        await releases.change(lambda _: PAUSE)


async def test_it_writes_once_and_only_what_it_changes(
    releases: Releases, proxy: FaultProxy, app: Object
) -> None:
    await releases.change(lambda _: Edit(spec={"edition": "v2"}, rollout={"abort": "v1"}, says=""))
    (written,) = (seen.json() for seen in proxy.writes() if writes(seen))
    assert [(o["op"], o["path"]) for o in written] == [
        ("replace", "/metadata/resourceVersion"),
        ("add", "/spec/edition"),
        ("add", "/spec/rollout"),
    ]
    await releases.change(lambda _: Edit(rollout={"abort": "v1", "emergency": ""}, says="as it is"))
    assert len([seen for seen in proxy.writes() if writes(seen)]) == 1
    await releases.change(lambda _: Edit(rollout={"abort": None}, says=""))
    assert "abort" not in (await releases.read())["spec"]["rollout"]


async def editions_seen(releases: Releases, until: str, troubles: list[str]) -> list[Any]:
    seen = []
    async with aclosing(releases.follow(lambda error: troubles.append(said(error)))) as apps:
        async for app in apps:
            seen.append((app.get("status") or {}).get("edition"))
            if seen[-1] == until:
                return seen
    raise AssertionError("unreachable")


@pytest.mark.parametrize("fault", [Reset(), Status(410), Status(503), Hang()], ids=str)
async def test_following_survives_a_watch_that_breaks(
    releases: Releases, proxy: FaultProxy, api: Api, fault: Any
) -> None:
    releases.WATCH_S, releases.GRACE_S = 1.0, 0.5
    injection = proxy.inject(lambda seen: seen.watch, fault, times=2)
    following = asyncio.create_task(editions_seen(releases, "v2", []))
    await eventually_async(lambda: injection.hits == 2, 20, "two watches have broken")
    await tell(api, releases.namespace, "v2")
    assert (await asyncio.wait_for(following, 20))[-1] == "v2"


async def test_following_survives_a_watch_that_falls_silent(
    releases: Releases, proxy: FaultProxy, api: Api
) -> None:
    releases.WATCH_S, releases.GRACE_S = 2.0, 0.5
    following = asyncio.create_task(editions_seen(releases, "v2", []))
    await eventually_async(lambda: any(seen.watch for seen in proxy.seen), 20, "it watches")
    proxy.freeze_watches()
    await tell(api, releases.namespace, "v2")
    assert (await asyncio.wait_for(following, 20))[-1] == "v2"


async def test_a_quiet_app_is_looked_at_seldom(releases: Releases, proxy: FaultProxy, api: Api) -> None:
    following = asyncio.create_task(editions_seen(releases, "v9", []))
    await eventually_async(lambda: any(seen.watch for seen in proxy.seen), 20, "it watches")
    for number in range(5, 10):
        await tell(api, releases.namespace, f"v{number}")
    assert (await asyncio.wait_for(following, 20))[-1] == "v9"
    assert len(proxy.seen) == 2, "one look and one watch"


async def test_a_namesake_is_another_app(releases: Releases, api: Api, proxy: FaultProxy) -> None:
    releases.WATCH_S = 1.0
    following = asyncio.create_task(editions_seen(releases, "never", []))
    await eventually_async(lambda: any(seen.watch for seen in proxy.seen), 20, "it watches")
    proxy.filter_watches(lambda seen, event: False)
    path = paths.elasticapps(releases.namespace, "web")
    await api.delete(path)
    await api.create(paths.elasticapps(releases.namespace), APP)
    with pytest.raises(Missing, match="was deleted"):
        await asyncio.wait_for(following, 40)


async def test_the_first_look_tells_at_once_what_cannot_get_better(
    releases: Releases, proxy: FaultProxy
) -> None:
    proxy.inject(lambda seen: True, Status(403))
    with pytest.raises(ApiError, match="403"):
        await editions_seen(releases, "never", [])


async def test_an_app_that_is_not_there_is_missing(api: Api, namespace: str, app: Object) -> None:
    with pytest.raises(Missing, match=r"no ElasticApp 'wep' .*there: web"):
        await Releases(api, namespace, "wep").read()
    nothing = Releases(api, "no-such-place", "web")
    with pytest.raises(Missing, match="there: none"):
        await nothing.read()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ('PATCH /apis/x: admission "a": no', 'admission "a": no'),
        ("watch /apis/x: HTTP status 500", "HTTP status 500"),
        ("no ElasticApp 'x': none", "no ElasticApp 'x': none"),
        ("plain", "plain"),
    ],
)
def test_people_are_told_what_the_server_said(message: str, text: str) -> None:
    assert said(ApiError(message)) == text
