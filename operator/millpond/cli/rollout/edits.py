"""What each verb writes into the spec, or why it refuses to. Pure: from the app, and the editions that are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from millpond.api.approval import Approval, granted
from millpond.cli.releases import Edit, names
from millpond.cli.rollout.outcome import Exit, Outcome, judge
from millpond.cli.rollout.template import Template, with_images
from millpond.kube.client import Object
from millpond_policies.reasons import Reason
from millpond_policies.world.release import Needs, Phase

MAX_STEP = 20  # of spec.rollout.promote.step
# What an earlier edition was told; it would otherwise befall the next one.
FORGOTTEN: Mapping[str, Any] = {"promote": None, "abort": None, "emergency": "", "emergencyEdition": None}


class EditRefused(Exception):
    """The verb makes no sense now; the message says what would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What `start` was asked for; None and empty: as it is."""

    edition: str
    images: Sequence[str] = ()
    template: Template | None = None
    strategy: str | None = None
    emergency: str = ""
    major: bool | None = None
    kept: Object | None = field(default=None, repr=False)
    """The Edition object that has this name already."""


def start(app: Object, wish: Wish) -> Edit:
    spec, told = app["spec"], judge(app)
    template = with_images(wish.template or spec["template"], wish.images)
    rollout = _as_wished(wish)
    if wish.edition == spec["edition"]:
        return _again(spec, told, template, rollout)
    _check_name(told.app, wish, template)
    same = "" if template != spec["template"] else ", from the same template"
    says = f"{wish.edition} follows {spec['edition']}{same}{_but_paused(spec)}"
    return Edit(
        spec={"edition": wish.edition, "template": template}, rollout={**FORGOTTEN, **rollout}, says=says
    )


def _as_wished(wish: Wish) -> Mapping[str, Any]:
    said = {"strategy": wish.strategy, "major": wish.major, **_urgent(wish.edition, wish.emergency)}
    return {key: value for key, value in said.items() if value is not None}


def _urgent(edition: str, emergency: str) -> Mapping[str, Any]:
    return {"emergency": emergency, "emergencyEdition": edition} if emergency else {}


def _again(spec: Object, told: Outcome, template: Template, rollout: Mapping[str, Any]) -> Edit:
    """The same edition once more: a job of a pipeline that is run again changes nothing."""
    edition = spec["edition"]
    if template != spec["template"]:
        raise EditRefused(f"edition {edition} has another template: give the new one a new name")
    if told.exit is Exit.FAILED:
        why = f"{told.phase or 'refused'}: {told.message}".rstrip(": ")
        raise EditRefused(f"edition {edition} was tried already ({why}): give the next attempt a new name")
    if any(spec.get("rollout", {}).get(key) != value for key, value in rollout.items()):
        raise EditRefused(
            f"edition {edition} is wanted already: its rollout is changed by pause, promote, abort or kubectl"
        )
    return Edit(says=f"{edition} is wanted already, from this very template: nothing changed")


def _check_name(app: str, wish: Wish, template: Template) -> None:
    if wish.kept is None:
        return
    owner = wish.kept["spec"]["app"]
    if owner != app:
        raise EditRefused(
            f"the Edition {wish.kept['metadata']['name']} belongs to app {owner!r}: choose another name"
        )
    if wish.kept["spec"]["template"] != template:
        raise EditRefused(
            f"edition {wish.edition} exists with another template: go back to it with "
            f"`undo --to-edition {wish.edition}`, or choose another name"
        )


def _but_paused(spec: Object) -> str:
    return "; spec.rollout.paused is set: it begins with resume" if _rollout(spec).get("paused") else ""


def pause(app: Object) -> Edit:
    told = _in_progress(app, "paused")
    if _rollout(app["spec"]).get("paused"):
        raise EditRefused("the rollout is paused already: resume lets it go on")
    return Edit(rollout={"paused": True}, says=f"{told.edition} stays where it is{_at(told)}")


def resume(app: Object) -> Edit:
    spec, told = app["spec"], judge(app)
    if _rollout(spec).get("paused"):
        return Edit(rollout={"paused": False}, says=f"{told.edition} goes on{_at(told)}")
    if told.exit is Exit.PERSON and told.reason == Reason.PAUSED:
        raise EditRefused(
            f"the rollout is not paused, but the whole app is: {told.message}; change spec.paused"
        )
    raise EditRefused("the rollout is not paused" + _what_it_waits_for(told))


def _what_it_waits_for(told: Outcome) -> str:
    return f"; it waits for: {told.needs}" if told.needs else ""


def promote(app: Object, *, full: bool = False) -> Edit:
    told = _in_progress(app, "promoted")
    if told.phase is None or told.step is None or told.steps is None:
        raise EditRefused(
            f"it is not known yet how far {told.edition} is ({told.message}): try again in a moment"
        )
    if told.phase == Phase.ROLLING_BACK:
        raise EditRefused(f"{told.edition} is being taken back: {told.message}")
    if told.phase == Phase.WAITING:
        raise EditRefused(f"{told.edition} has not begun: {_awaited(told)}")
    if told.step >= told.steps:
        raise EditRefused(f"nothing is left to promote: {told.edition} has all new sessions already")
    last = told.steps - 1  # the last one that is left: the one after it carries everything
    step = min(max(told.step, last) if full else told.step, MAX_STEP)
    before = _rollout(app["spec"]).get("promote") or {}
    if before.get("edition") == told.edition and before.get("step", 0) >= step:
        raise EditRefused(
            f"{told.edition} was promoted past step {before.get('step', 0)} already: {told.message}"
        )
    left = "all its steps" if full and step == last else f"step {step} of {told.steps}"
    says = f"{told.edition} may leave {left}{_but_held(app['spec'])}"
    return Edit(rollout={"promote": {"edition": told.edition, "step": step}}, says=says)


def _awaited(told: Outcome) -> str:
    if told.needs == Needs.APPROVE:
        return "it is a major edition and waits for somebody else's approve"
    window = f"it may start at {told.until}" if told.until else told.message
    return f"{window}; an emergency needs spec.rollout.emergency, with its reason, and emergencyEdition"


def _but_held(spec: Object) -> str:
    return "; it is paused, and does so after resume" if _rollout(spec).get("paused") else ""


def abort(app: Object) -> Edit:
    spec, told = app["spec"], _in_progress(app, "aborted")
    serving = (app.get("status") or {}).get("edition")
    if serving in (None, "", told.edition) and told.origin is None:
        raise EditRefused(f"{told.edition} is the only edition: there is none to go back to")
    if _rollout(spec).get("abort") == told.edition or told.phase == Phase.ROLLING_BACK:
        raise EditRefused(f"{told.edition} is being taken back already")
    return Edit(
        rollout={"abort": told.edition},
        says=f"{told.edition} is taken back; {told.origin or serving} goes on",
    )


def undo(app: Object, editions: Sequence[Object], to: str | None = None, emergency: str = "") -> Edit:
    """Back to an edition that is kept, by default the one that served before."""
    spec, kept = app["spec"], {e["spec"]["edition"]: e for e in editions}
    there = f"kept are: {', '.join(names(editions)) or 'none'}"
    target = to or _before(app)
    if target is None:
        raise EditRefused(
            f"which edition served before is not recorded: name one with --to-edition ({there})"
        )
    if target == spec["edition"]:
        raise EditRefused(f"{target} is the edition that spec names already ({there})")
    if target not in kept:
        raise EditRefused(f"edition {target} is not kept any more ({there})" if to is None
                      else f"there is no edition {target} to go back to ({there})")  # fmt: skip
    template = kept[target]["spec"]["template"]
    rollout = {**FORGOTTEN, **_urgent(target, emergency)}
    return Edit(spec={"edition": target, "template": template}, rollout=rollout, says=_undone(app, target))


def _undone(app: Object, target: str) -> str:
    wanted = app["spec"]["edition"]
    if (app.get("status") or {}).get("edition") == target:
        return f"{target}, which still serves, goes on; nothing is left of {wanted}"
    return f"{target} follows {wanted} again{_but_paused(app['spec'])}"


def _before(app: Object) -> str | None:
    """The edition that still serves while another one is wanted, else the one that served before it."""
    status = app.get("status") or {}
    wanted, serving = app["spec"]["edition"], status.get("edition")
    if serving and serving != wanted:
        return str(serving)
    rollout = status.get("rollout") or {}
    if rollout.get("edition") != wanted or rollout.get("reason") == Reason.SERVES_ALREADY:
        return None  # an edition that was given up never served
    return rollout.get("from") or None


def check_approvable(app: str, name: str, edition: Object | None, *, major: bool = True) -> None:
    """``edition``: the Edition object; ``major``: False when the app says that it is not a major one."""
    if edition is None or edition["spec"]["app"] != app:
        raise EditRefused(f"the operator has made no Edition for {name} yet: try again in a moment")
    given = approval(edition)
    if given is not None:
        raise EditRefused(f"{name} was approved already by {given.by}: {given.reason}")
    if not major:
        raise EditRefused(f"{name} is not a major edition: it needs no approval; a step is let on by promote")


def approval(edition: Object) -> Approval | None:
    """The approval that was written, whether it counts or not."""
    return granted(edition, app={"metadata": {}})


def _in_progress(app: Object, what: str) -> Outcome:
    told = judge(app)
    if told.exit is Exit.DONE:
        raise EditRefused(f"no rollout is in progress: {told.edition} serves, so nothing can be {what}")
    if told.exit is Exit.FAILED:
        raise EditRefused(
            f"no rollout is in progress: {told.edition} is {told.phase or 'refused'} ({told.message})"
        )
    return told


def _at(told: Outcome) -> str:
    return "" if told.step is None else f" (step {told.step} of {told.steps}, {told.weight} %)"


def _rollout(spec: Object) -> Mapping[str, Any]:
    return spec.get("rollout") or {}
