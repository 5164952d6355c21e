"""The log line of a verdict: one line whatever it holds, and read back field by field."""

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.cli.run.lines import JsonLines
from millpond.control.report import told
from millpond_policies.reasons import Reason
from millpond_policies.world.actions import Because, Grow, Retire, Verdict

from kube.tenants import QUIET, Tenants, cluster

BECAUSE = Because(reason=Reason.FORECAST_ABOVE_CAPACITY, servers=1, wanted=3, needed=3)
GROW = Grow(app="shop/cart", edition="v1", to=3, because=BECAUSE)
FIELDS = {"app": "shop/cart", "edition": "v1", "verdict": "Grow", "reason": "ForecastAboveCapacity", "needed": 3,
          "from": 1, "to": 3}  # fmt: skip


@contextmanager
def lines(formatter: logging.Formatter) -> Iterator[io.StringIO]:
    """What is logged of verdicts."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    told.log.addHandler(handler)
    before = told.log.level
    told.log.setLevel(logging.INFO)
    try:
        yield out
    finally:
        told.log.removeHandler(handler)
        told.log.setLevel(before)


def as_json(verdict: Verdict) -> dict[str, object]:
    with lines(JsonLines()) as out:
        told.tell(verdict)
    (line,) = out.getvalue().splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_a_line_of_json_has_every_part_of_the_verdict_as_a_field() -> None:
    found = as_json(GROW)
    assert found.items() >= FIELDS.items()
    assert found.keys() - FIELDS.keys() == {"time", "level", "logger", "message"}


def test_a_line_for_people_says_the_same() -> None:
    with lines(logging.Formatter("%(message)s")) as out:
        told.tell(GROW)
        told.tell(Retire(app="shop/cart", edition="v1", uid="u", name="cart-v1-a", because=BECAUSE))
    assert out.getvalue() == (
        "app=shop/cart edition=v1 verdict=Grow reason=ForecastAboveCapacity needed=3 from=1 to=3\n"
        "app=shop/cart edition=v1 verdict=Retire reason=ForecastAboveCapacity needed=3 from=1 to=0 server=cart-v1-a\n"
    )


@given(app=st.text(), edition=st.text(), server=st.text())
@pytest.mark.parametrize("form", ["text", "json"])
def test_whatever_a_name_holds_it_stays_one_line_and_one_field(
    form: str, app: str, edition: str, server: str
) -> None:
    verdict = Retire(app=app, edition=edition, uid="u", name=server, because=BECAUSE)
    if form == "json":
        found = as_json(verdict)
        assert (found["app"], found["edition"], found["server"]) == (app, edition, server)
        return
    text = told.as_text(told.fields(verdict))
    assert len(text.splitlines()) == 1
    read = dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', text))
    for name, value in (("app", app), ("edition", edition), ("server", server)):
        assert value == (json.loads(read[name]) if read[name].startswith('"') else read[name])


async def test_the_cycle_logs_what_it_does_and_its_outcome_says_so(caplog: pytest.LogCaptureFixture) -> None:
    tenants = Tenants()
    objects = cluster(QUIET)
    app = objects[f"elasticapps/{QUIET}/web"]
    app["spec"] = {**app["spec"], "mode": "Manual", "replicas": 4}
    tenants.load(objects)
    with caplog.at_level(logging.INFO, told.log.name):
        outcome = await tenants.once()
    (line,) = [r.getMessage() for r in caplog.records if r.name == told.log.name]
    assert line.startswith(f"app={QUIET}/web edition=v1 verdict=Grow ")
    assert line.endswith(" from=2 to=4")
    assert [type(v) for v in outcome.acted[f"{QUIET}/web"]] == [Grow]
    assert not outcome.failed
    caplog.clear()
    outcome = await tenants.once()
    assert not outcome.acted
    assert f"{QUIET}/web" in outcome.held
    assert not [r for r in caplog.records if r.name == told.log.name], "a hold is no line"
