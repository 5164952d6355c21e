"""`millpond get`: apps, editions, pools and policies as a table, for programs, or as they change."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from millpond.cli import output
from millpond.cli.shell import complete
from millpond.cli.show.kinds import (
    APPS,
    KINDS,
    NAMESPACE,
    Column,
    Kind,
    find,
    kind_of,
    no_namespace,
    not_installed,
    row,
)
from millpond.cli.target import Target
from millpond.cli.verb import Verb
from millpond.cli.where import where
from millpond.clock import now_s
from millpond.control.observe.objects import custom
from millpond.kube.cache import Reflector, key_of
from millpond.kube.client import Api, Object
from millpond.kube.errors import NotFound

INTERRUPTED = 130


def _words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [kind.noun for kind in KINDS if kind.noun.startswith(incomplete)]


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    kind, name = ctx.params.get("kind") or (None, None)
    if kind is None or name:
        return []
    return complete.names(ctx.params, lambda target: kind.path(target.namespace, None), incomplete)


def _kind(ctx: click.Context, param: click.Parameter, word: str) -> tuple[Kind, str | None]:
    """`apps/shop` is the same as `apps shop`."""
    before, _, name = word.partition("/")
    if kind := kind_of(before):
        return kind, name or None
    kinds = ", ".join(kind.noun for kind in KINDS)
    raise click.UsageError(f"unknown kind {before!r}; kinds are: {kinds} (an app: `get app {before}`)")


@click.command(
    cls=Verb,
    examples=(
        ("get", "the apps of the namespace"),
        ("get apps -A -o wide", "of all namespaces: with limits, rollouts, hosts, last decisions"),
        ("get app shop -w", "one app, and a line whenever something changes"),
        ("get editions -o name", "names only"),
        ("get policy gold -o yaml", "as it is stored"),
    ),
)
@click.argument(
    "kind", default="apps", metavar="[apps|editions|pools|policies]", callback=_kind, shell_complete=_words
)
@click.argument("name", required=False, shell_complete=_names)
@where
@click.option("-A", "--all-namespaces", is_flag=True, help="Of all namespaces.")
@click.option("-w", "--watch", is_flag=True, help="Go on with a line for each change, until Ctrl-C.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["wide", "json", "yaml", "name"]), help="[default: a table]"
)
def get(
    target: Target,
    kind: tuple[Kind, str | None],
    name: str | None,
    all_namespaces: bool,
    watch: bool,
    form: str | None,
) -> None:
    """Show apps, editions, pools or policies.

    The response is what the last decision found, with its age: `explain` shows every figure.
    """
    chosen, named = kind
    if name and named:
        raise click.UsageError(f"two names: {named!r} and {name!r}; name one, or none for all")
    name = name or named
    if name and all_namespaces:
        raise click.UsageError("a name and --all-namespaces exclude each other: name a namespace with -n")
    everywhere = all_namespaces and chosen.resource.namespaced
    query = Query(kind=chosen, name=name, namespace=None if everywhere else target.namespace)
    shown = Shown(query, form)
    try:
        target.run(lambda api: _follow(api, query, shown) if watch else _once(api, query, shown))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    kind: Kind
    name: str | None
    """None: all."""
    namespace: str | None
    """None: all of them."""

    @property
    def path(self) -> str:
        return self.kind.path(self.namespace, None)

    async def ask(self, api: Api) -> list[Object]:
        """In the order in which they are shown; Missing when the name or the kinds are not there."""
        if self.name:
            return [custom(await find(api, self.kind, self.namespace or "default", self.name))]
        try:
            return self.sorted((await api.list(self.path)).objects)
        except NotFound as error:
            raise not_installed(error) from error

    def sorted(self, objects: Sequence[Object]) -> list[Object]:
        by = self.kind.order
        return sorted(map(custom, objects), key=lambda o: (o["metadata"].get("namespace", ""), *by(o)))

    def wants(self, obj: Object) -> bool:
        return self.name in (None, obj["metadata"]["name"])


@dataclass(slots=True)
class Shown:
    """What was printed so far; ``form`` None: the table."""

    query: Query
    form: str | None
    _table: output.Table = field(init=False)
    _columns: Sequence[Column] = field(init=False)
    _rows: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = [c for c in self.query.kind.columns if self.form == "wide" or not c.wide]
        self._columns = columns if self.query.namespace or not self.query.kind.resource.namespaced else [
            NAMESPACE,
            *columns,
        ]  # fmt: skip
        self._table = output.Table([c.name for c in self._columns])

    def all(self, objects: Sequence[Object]) -> None:
        """Everything that there is, at once."""
        if self.form in ("json", "yaml"):
            click.echo(output.document(self._listed(objects), self.form), nl=False)
        else:
            self.some(objects)

    def _listed(self, objects: Sequence[Object]) -> Object:
        if self.query.name:
            return objects[0]
        return {"apiVersion": "v1", "kind": "List", "items": list(objects)}

    def some(self, objects: Sequence[Object]) -> None:
        """Those that look otherwise than when they were last shown."""
        news = [obj for obj in objects if self._is_news(obj)]
        if not news:
            return
        if self.form == "name":
            for obj in news:
                click.echo(f"{self.query.kind.full_name}/{obj['metadata']['name']}")
        elif self.form in ("json", "yaml"):
            for obj in news:
                click.echo("---\n" * (self.form == "yaml") + output.document(obj, self.form), nl=False)
        else:
            for line in self._table.lines([self._coloured(obj) for obj in news]):
                output.say(line)
        sys.stdout.flush()

    def gone(self, present: set[str]) -> None:
        """Says of what was shown and is no longer there that it was deleted."""
        for key in sorted(self._rows.keys() - present):
            del self._rows[key]
            click.echo(f"{self.query.kind.full_name}/{key} deleted", err=True)

    def _is_news(self, obj: Object) -> bool:
        look: object = obj
        if self.form not in ("json", "yaml"):  # the age alone, which moves all the time, is no news
            look = [c.says(obj, 0.0) for c in self._columns if c.name != "Age"]
        before = self._rows.get(key_of(obj))
        self._rows[key_of(obj)] = look
        return before != look

    def _coloured(self, obj: Object) -> list[str]:
        cells = row(self._columns, obj, now_s())
        return [
            click.style(text, fg=column.colour(text)) if column.colour else text
            for column, text in zip(self._columns, cells, strict=True)
        ]


async def _once(api: Api, query: Query, shown: Shown) -> None:
    objects = await query.ask(api)
    if not objects:
        await _say_nothing(api, query)
    if objects or shown.form in ("json", "yaml"):
        shown.all(objects)


async def _follow(api: Api, query: Query, shown: Shown) -> None:
    """Until it is interrupted. The first look must succeed; later the watch is taken up again by itself."""
    objects = await query.ask(api)
    if not objects:
        await _say_nothing(api, query)
    shown.some(objects)

    def changed() -> None:
        objects = [obj for obj in watched.store.items().values() if query.wants(obj)]
        shown.gone({key_of(obj) for obj in objects})
        shown.some(query.sorted(objects))

    watched: Reflector[Object] = Reflector(api, query.path, keep=lambda obj: obj, on_change=changed)
    watched.start()
    try:
        await asyncio.Event().wait()
    finally:
        await watched.stop()


async def _say_nothing(api: Api, query: Query) -> None:
    """As kubectl: on stderr, and no failure."""
    text = f"no {query.kind.noun}"
    if query.namespace and query.kind.resource.namespaced:
        text += f" in namespace {query.namespace!r}"
        if query.kind is APPS and await no_namespace(api, query.namespace):
            text += ", which does not exist"
    click.echo(text, err=True)
