"""Editions swap under load with sessions: a canary takes over, a sick one is taken back, the first one comes again."""

from millpond import paths
from millpond.demo.judge import checks, rollout_checks
from millpond.demo.scenario import Scenario, steady
from millpond.demo.script import Mix, Script, ScriptStep
from millpond_policies.reasons import Reason
from millpond_policies.world.release import Phase

RATE_RPS = 120
ROLLOUTS_S = 145.0
_SERVICE_TIME_MS = 80
_SLOW_MS = 900
_ROLLING = '{"spec":{"rollout":{"strategy":"Rolling","steps":null}}}'
_FOLDER = paths.examples() / "rollout"


_IMAGES = {
    "millpond.dev/shop:1": {"EDITION": "v1", "SERVICE_TIME_MS": str(_SERVICE_TIME_MS)},
    "millpond.dev/shop:2": {"EDITION": "v2", "SERVICE_TIME_MS": str(_SERVICE_TIME_MS)},
    "millpond.dev/shop:3": {"EDITION": "v3", "SERVICE_TIME_MS": str(_SLOW_MS)},
}


def _typed(verb: str, *options: str) -> tuple[str, ...]:
    return ("millpond", "rollout", verb, "shop", "-n", "shop", *options)


_SCRIPT = Script(
    steps=(
        ScriptStep(
            title="Rollout of v2",
            commands=(_typed("start", "--edition", "v2", "--image", "millpond.dev/shop:2"),),
            edition="v2",
            phase=Phase.COMPLETED,
            reason=Reason.TOOK_OVER,
            serves="v2",
            hold_s=10,
        ),
        ScriptStep(
            title="Rollout of v3, which is slow",
            commands=(_typed("start", "--edition", "v3", "--image", "millpond.dev/shop:3"),),
            edition="v3",
            phase=Phase.ROLLED_BACK,
            reason=Reason.EDITION_SLOW,
            serves="v2",
            hold_s=6,
        ),
        ScriptStep(
            title="Rollout back to v1 (undo)",
            commands=(
                ("kubectl", "patch", "elasticapp", "shop", "-n", "shop", "--type=merge", "-p", _ROLLING),
                _typed("undo", "--to-edition", "v1"),
            ),
            edition="v1",
            phase=Phase.COMPLETED,
            reason=Reason.TOOK_OVER,
            serves="v1",
            hold_s=6,
        ),
    ),
    mix=Mix(),
    after_s=6,
)

SCENARIO = Scenario(
    name="rollout",
    title=f"Rollouts at {RATE_RPS} requests/s: v2 by canary, v3 is sick and taken back, undo to v1",
    manifests=(
        paths.catalog() / "gold.yaml",
        *(_FOLDER / name for name in ("namespace.yaml", "pool.yaml", "shop.yaml")),
    ),
    namespace="shop",
    app="shop",
    host="shop.example",
    goal_ms=300,
    slots=40,
    service_time_ms=_SERVICE_TIME_MS,
    sequence=(2,),
    profile=steady(_SCRIPT, ROLLOUTS_S, RATE_RPS),
    script=_SCRIPT,
    calm_s=ROLLOUTS_S,
    images=_IMAGES,
    checks=(
        checks.no_failed_request,
        checks.routers_saw_every_request,
        rollout_checks.each_request_worked_on_once,
        rollout_checks.sessions_stay,
        rollout_checks.each_step_ended,
        rollout_checks.found_at_the_first_step,
        rollout_checks.kept_to_its_share,
        rollout_checks.others_were_spared,
        rollout_checks.never_below_the_need,
        rollout_checks.first_request_in_time,
    ),
)
