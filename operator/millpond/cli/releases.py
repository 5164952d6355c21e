"""Rollouts as a person or a pipeline sees and steers them, with that person's own rights."""

import random
from asyncio import sleep
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from millpond.api.approval import Approval
from millpond.api.names import APPROVAL_ANNOTATION, LABEL_APP, edition_object
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import ApiError, Conflict, Gone, NotFound, Unavailable

FIELD_MANAGER = "millpond-rollout"
WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of an app's spec, and the sentence that tells of it. A value None removes the field."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    rollout: Mapping[str, Any] = field(default_factory=dict)
    """Fields below spec.rollout."""
    says: str

    def after(self, spec: Mapping[str, Any]) -> Object:
        """The spec with this change made."""
        changed = _merged(spec, self.spec)
        if self.rollout:
            changed["rollout"] = _merged(spec.get("rollout") or {}, self.rollout)
        return changed


def _merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> Object:
    return {key: value for key, value in {**before, **changes}.items() if value is not None}


class Missing(ApiError):
    """The app does not exist, or exists no longer; the message says what there is."""


class Releases:
    """The rollouts of one app."""

    BACK_OFF_S = (0.2, 2.0)
    WATCH_S = 25.0  # then it is looked at afresh
    GRACE_S = 5.0  # so much later a watch counts as stuck

    def __init__(self, api: Api, namespace: str, app: str) -> None:
        self.api = api
        self.namespace = namespace
        self.app = app
        self._path = paths.elasticapps(namespace, app)

    async def read(self) -> Object:
        """The app as it is now; Missing names those that exist."""
        try:
            return await self.api.get(self._path)
        except NotFound as error:
            if not self._names_us(error):
                raise Missing(f"{said(error)}: are Millpond's custom resources installed?") from error
        there = ", ".join(sorted(app["metadata"]["name"] for app in await self.apps())) or "none"
        raise Missing(f"no ElasticApp {self.app!r} in namespace {self.namespace!r} (there: {there})")

    async def apps(self, *, everywhere: bool = False) -> list[Object]:
        return (await self.api.list(paths.elasticapps(None if everywhere else self.namespace))).objects

    async def editions(self) -> list[Object]:
        """The editions that are kept, newest first."""
        found, _ = await self.api.list(paths.editions(self.namespace), f"{LABEL_APP}={self.app}")
        kept = [e for e in found if e["spec"]["app"] == self.app and not _leaving(e)]
        return sorted(kept, key=lambda e: str(e["metadata"]["creationTimestamp"]), reverse=True)

    async def edition(self, name: str) -> Object | None:
        """The Edition object that has, or would take, the name of this edition; another app's, perhaps."""
        try:
            return await self.api.get(self._edition_path(name))
        except NotFound:
            return None

    async def approve(self, name: str, reason: str) -> str:
        """Write the approval on the Edition, in our own name, which is returned."""
        who = (await self.api.create(WHOAMI, {}))["status"]["userInfo"]["username"]
        text = Approval(by=str(who), reason=reason).text()
        body = {"metadata": {"annotations": {APPROVAL_ANNOTATION: text}}}
        await self.api.patch(self._edition_path(name), body, field_manager=FIELD_MANAGER)
        return str(who)

    async def change(self, decide: Callable[[Object], Edit]) -> Edit:
        """Make the change that ``decide`` finds right for the app as it stands, in one write.

        What else happens to the app meanwhile: a new status changes nothing, a new spec is a Conflict. A write whose
        answer got lost is looked up.
        """
        app = await self.read()
        for _ in range(_ATTEMPTS):
            edit = decide(app)
            try:
                await self._write(app, edit)
                return edit
            except (Conflict, Unavailable) as error:
                app = await self._after_trouble(app, edit, error)
                if edit.after(app["spec"]) == app["spec"]:
                    return edit
        raise Conflict(f"{self.app} changes too often to be written: nothing was changed; try again")

    async def _write(self, app: Object, edit: Edit) -> None:
        after = edit.after(app["spec"])
        meant = {"op": "replace", "path": "/metadata/resourceVersion"}
        operations: list[Object] = [{**meant, "value": app["metadata"]["resourceVersion"]}]
        for key in sorted(app["spec"].keys() | after.keys()):
            if key not in after:
                operations.append({"op": "remove", "path": f"/spec/{key}"})
            elif app["spec"].get(key) != after[key]:
                operations.append({"op": "add", "path": f"/spec/{key}", "value": after[key]})
        if len(operations) > 1:
            await self.api.patch(self._path, operations, kind="json", field_manager=FIELD_MANAGER)

    async def _after_trouble(self, before: Object, edit: Edit, error: ApiError) -> Object:
        """The app as it is after a write that failed, if it still is worth another attempt."""
        try:
            app = await self.read()
        except Unavailable:
            raise Unavailable(f"{said(error)}; it may or may not be done: look with status") from error
        done = edit.after(app["spec"]) == app["spec"]
        if isinstance(error, Unavailable) and not done:
            raise error
        if app["metadata"]["generation"] != before["metadata"]["generation"] and not done:
            raise Conflict(
                f"somebody else changed the spec of {self.app} at the same moment: nothing was written; "
                "look with status, then try again"
            ) from error
        return app

    async def follow(self, on_trouble: Callable[[ApiError], None] = lambda _: None) -> AsyncGenerator[Object]:
        """The app now and after each change, for ever; ``on_trouble`` hears why nothing comes.

        The first look must succeed, unless the API server is merely away. Later, only the app's own end is an end.
        """
        uid, delay_s = "", self.BACK_OFF_S[0]
        while True:
            try:
                async with aclosing(self._until_the_watch_ends(uid)) as apps:
                    async for app in apps:
                        uid, delay_s = app["metadata"]["uid"], self.BACK_OFF_S[0]
                        yield app
            except Gone:
                pass  # the watch began too long ago: look afresh
            except ApiError as error:
                if isinstance(error, Missing) or not (uid or isinstance(error, Unavailable)):
                    raise
                on_trouble(error)
            await sleep(delay_s * random.uniform(0.7, 1.0))
            delay_s = min(self.BACK_OFF_S[1], delay_s * 2)

    async def _until_the_watch_ends(self, uid: str) -> AsyncGenerator[Object]:
        app = await self._look(uid)
        yield app
        uid, version = app["metadata"]["uid"], app["metadata"]["resourceVersion"]
        place = paths.elasticapps(self.namespace)
        watch = self.api.watch(place, version, self.WATCH_S, grace_s=self.GRACE_S, name=self.app)
        async with aclosing(watch) as events:
            async for event, obj in events:
                if event == "ERROR":
                    raise Gone(f"the server ended the watch: {obj.get('message', obj)}", 410)
                if event == "DELETED":
                    raise Missing(f"ElasticApp {self.app!r} was deleted")
                if event != "BOOKMARK":
                    yield obj

    async def _look(self, uid: str) -> Object:
        """``uid``: of the app that was seen before; a namesake is another app."""
        if not uid:
            return await self.read()
        try:
            app = await self.api.get(self._path)
        except NotFound as error:  # a server that has just started knows no custom resources yet
            if not self._names_us(error):
                raise
            raise Missing(f"ElasticApp {self.app!r} was deleted") from error
        if app["metadata"]["uid"] != uid:
            raise Missing(f"ElasticApp {self.app!r} was deleted, and another one made")
        return app

    def _names_us(self, error: NotFound) -> bool:
        return f'"{self.app}" not found' in error.message

    def _edition_path(self, name: str) -> str:
        return paths.editions(self.namespace, edition_object(self.app, name))


def _leaving(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def names(editions: Sequence[Object]) -> list[str]:
    return [str(edition["spec"]["edition"]) for edition in editions]


def said(error: ApiError) -> str:
    """What the API server said, without the request that it said it to."""
    head, _, rest = error.message.partition(": ")
    return (
        rest if rest and head.split(" ")[0] in {"GET", "POST", "PATCH", "DELETE", "watch"} else error.message
    )
