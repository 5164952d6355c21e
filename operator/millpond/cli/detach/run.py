"""What `millpond detach` does, in its order: choose, check, let drains end, stop the operator, then app by app."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from millpond.api.names import LABEL_APP
from millpond.cli.detach import plain, stopping
from millpond.cli.detach.orphan import Detach
from millpond.cli.detach.stopping import StillRuns
from millpond.clock import steady_s
from millpond.kube import paths
from millpond.kube.client import Api
from millpond.kube.errors import NotFound
from millpond_policies.world.release import Phase

Raw = dict[str, Any]
_LOOK_S = 0.5
_BACK = """# ElasticApp {key} as it was when it was detached. To come back: give spec.edition another name than
# {edition!r}, which the plain ReplicaSet has; apply this file, point the Ingress at the routers again, and delete the
# ReplicaSet.
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """Which apps (none named: all of the namespace; ``namespace`` None: all there are), and how.

    ``home``: the operator's namespace; None: there is no operator any more.
    """

    apps: tuple[str, ...]
    namespace: str | None
    home: str | None
    folder: Path
    drain_wait_s: float


@dataclass(slots=True)
class Run:
    api: Api
    wish: Wish
    say: Callable[[str], None]

    async def all(self, *, dry_run: bool, ask: Callable[[str], None] | None) -> Sequence[Raw]:
        """The Services of what is detached now, or was before. Raises StillRuns, ApiError, ClickException."""
        work = Detach(self.api, self.say)
        runs = await self._runs()
        chosen, others = await self._choose()
        if chosen and others and runs:
            raise StillRuns(_partial(others))
        if chosen:
            self._check_rollouts(chosen, runs)
            self._announce(chosen, runs)
        if chosen and not dry_run:
            if ask is not None:
                ask("Detach?")
            await self._detach(work, chosen, runs)
        return await self._services(work, chosen if dry_run else ())

    async def _runs(self) -> bool:
        """Whether an operator acts, or is about to."""
        home = self.wish.home
        if home is None:
            return False
        if not await stopping.known(self.api, home):
            raise StillRuns(
                f"no operator was ever in namespace {home}: name its namespace with --operator-namespace, "
                "or say that there is none any more with --no-operator"
            )
        return (
            bool(await stopping.ordered(self.api, home)) or await stopping.holder(self.api, home) is not None
        )

    async def _choose(self) -> tuple[list[Raw], list[str]]:
        """The apps that are meant, and the keys of all others that this operator sees to."""
        wish = self.wish
        its = await stopping.namespaces(self.api, wish.home) if wish.home else ()
        listed = (await self.api.list(paths.elasticapps())).objects
        found = {_key(app): app for app in listed if not its or app["metadata"]["namespace"] in its}
        if not wish.apps:
            keys = {k for k in found if wish.namespace in (None, k.split("/")[0])}
        else:
            keys = {f"{wish.namespace}/{name}" for name in wish.apps}
            done = {
                f"{s['metadata']['namespace']}/{s['metadata']['labels'][LABEL_APP]}"
                for s in await self._detached()
            }
            if missing := sorted(keys - found.keys() - done):
                there = ", ".join(sorted(found)) or "none"
                raise click.ClickException(
                    f"there is no ElasticApp {', '.join(missing)} that it sees to; there: {there}"
                )
        return [found[k] for k in sorted(keys & found.keys())], sorted(found.keys() - keys)

    def _check_rollouts(self, chosen: Sequence[Raw], runs: bool) -> None:
        for app in chosen:
            rollout = app.get("status", {}).get("rollout") or {}
            if runs and rollout and not Phase(rollout["phase"]).final:
                raise click.ClickException(
                    f"{_key(app)}: the rollout of {rollout.get('edition')} is under way ({rollout['phase']}): end it "
                    "first, with `millpond rollout promote --full` or `millpond rollout abort`"
                )

    def _announce(self, chosen: Sequence[Raw], runs: bool) -> None:
        self.say("the operator runs, and will be stopped" if runs else "no operator runs")
        for app in chosen:
            servers = app.get("status", {}).get("replicas", 0)
            self.say(
                f"{_key(app)}: {servers} server(s) go on as a plain ReplicaSet; the ElasticApp is removed"
            )

    async def _detach(self, work: Detach, chosen: Sequence[Raw], runs: bool) -> None:
        home = self.wish.home
        if runs and home is not None:
            await self._drained(work, chosen)
            await stopping.stop(self.api, home, self.say)
        for app in chosen:
            if home is not None and await stopping.ordered(self.api, home):
                raise StillRuns("somebody has started the operator again: stop who does that, then try again")
            try:
                await self._one(work, app)
            except NotFound:
                if await self._look(app) is not None:
                    raise
                self.say(f"{_key(app)}: somebody has deleted it meanwhile")

    async def _one(self, work: Detach, app: Raw) -> None:
        fresh = await self._look(app)
        if fresh is not None:
            self._save(fresh)
            await work.app(fresh)

    async def _look(self, app: Raw) -> Raw | None:
        try:
            return await self.api.get(
                paths.elasticapps(app["metadata"]["namespace"], app["metadata"]["name"])
            )
        except NotFound:
            return None

    async def _drained(self, work: Detach, chosen: Sequence[Raw]) -> None:
        """The operator ends drains better than anybody: let it."""
        until_s = steady_s() + self.wish.drain_wait_s
        said: list[str] = []
        while (
            found := [name for app in chosen for name in await work.draining(app)]
        ) and steady_s() < until_s:
            if found != said:
                self.say(f"waits for servers that drain: {', '.join(found)}")
                said = found
            await asyncio.sleep(_LOOK_S)
        if found:
            self.say(f"still draining; Kubernetes ends them, with their grace period: {', '.join(found)}")

    def _save(self, app: Raw) -> None:
        """Before anything of it is removed. ClickException when it cannot be kept."""
        file = self.wish.folder / f"{_key(app).replace('/', '.')}.yaml"
        text = _BACK.format(key=_key(app), edition=app["spec"]["edition"])
        try:
            self.wish.folder.mkdir(parents=True, exist_ok=True)
            file.write_text(text + yaml.safe_dump(plain.manifest(app), sort_keys=False))
        except OSError as error:
            raise click.ClickException(f"--save: {error}; nothing of {_key(app)} was changed") from error
        self.say(f"{_key(app)}: kept in {file}")

    async def _services(self, work: Detach, planned: Sequence[Raw]) -> list[Raw]:
        """Of all that is detached within the wish, and of what is planned."""
        wish = self.wish
        found = [o["metadata"]["namespace"] for o in (*await self._detached(), *planned)]
        made = [s for ns in sorted(set(found)) for s in await work.services(ns, planned)]
        if not made:
            self.say("there is nothing to detach")
        return [s for s in made if not wish.apps or s["spec"]["selector"][LABEL_APP] in wish.apps]

    async def _detached(self) -> list[Raw]:
        listed = (await self.api.list(paths.replicasets(self.wish.namespace), LABEL_APP)).objects
        return [s for s in listed if plain.DETACHED_ANNOTATION in s["metadata"].get("annotations", {})]


def _partial(others: Sequence[str]) -> str:
    shown = ", ".join(others[:5]) + (" …" if len(others) > 5 else "")
    return (
        "the operator runs, and takes the hosts of an app that is no more from the routers: requests would be lost. "
        f"Detach all apps with --all-namespaces (besides those meant there are {shown}). Or point the Ingress at the "
        "Services that --dry-run prints, stop the operator (`kubectl scale deployment millpond-operator --replicas=0` "
        "where it is), detach, and start it again: then the routers drop these hosts"
    )


def _key(app: Raw) -> str:
    return f"{app['metadata']['namespace']}/{app['metadata']['name']}"
