from millpond.control.report.metrics import GONE_KEPT, AppFigures, Metrics
from millpond_policies.reasons import Reason


def test_an_app_is_shown_and_vanishes_when_it_is_gone() -> None:
    metrics = Metrics()
    metrics.apps({"shop/web": AppFigures(desired=4, ready=2, response_ms=310.5)})
    text = metrics.text().decode()
    assert 'millpond_servers_desired{app="web",namespace="shop"} 4.0' in text
    assert 'millpond_servers_ready{app="web",namespace="shop"} 2.0' in text
    assert 'millpond_response_ms{app="web",namespace="shop"} 310.5' in text
    metrics.apps({})
    assert "web" not in metrics.text().decode()


def test_an_unknown_response_time_is_absent_not_zero() -> None:
    metrics = Metrics()
    metrics.apps({"shop/web": AppFigures(desired=1, ready=1)})
    assert "millpond_response_ms{" not in metrics.text().decode()


def test_unfinished_requests_are_counted_from_zero_on_so_that_prometheus_sees_the_first() -> None:
    metrics = Metrics()
    metrics.apps({"shop/web": AppFigures(desired=1, ready=1), "shop/news": AppFigures(desired=1, ready=1)})
    series = 'millpond_unfinished_total{{app="{}",namespace="shop",what="{}"}} {}'
    for what in ("request", "stream"):
        assert series.format("web", what, "0.0") in metrics.text().decode()
    metrics.cut("shop/web", 2, 1)
    metrics.apps({})
    text = metrics.text().decode()
    assert series.format("web", "request", "2.0") in text, "told even though the app is gone"
    assert "news" not in text
    metrics.apps({"shop/web": AppFigures(desired=1, ready=1)})
    assert series.format("web", "stream", "1.0") in metrics.text().decode()


def test_a_namespace_that_makes_ever_new_apps_does_not_make_ever_more_series() -> None:
    metrics = Metrics()
    metrics.cut("shop/web", 1, 0)
    for number in range(500):
        name = f"noisy/app-{number}"
        metrics.apps({name: AppFigures(desired=1, ready=1)})
        metrics.cut(name, 1, 0)
    metrics.apps({})
    text = metrics.text().decode()
    assert text.count('namespace="noisy",what="request"') <= 2 * GONE_KEPT  # and when it was made
    assert 'app="web",namespace="shop",what="request"} 1.0' in text


def test_what_is_counted() -> None:
    metrics = Metrics()
    metrics.decided("Grow", Reason.GOAL_EXCEEDED)
    metrics.wrote("patch", "replicasets")
    metrics.routers({"connected": 2, "silent": 0})
    metrics.prometheus_answers(True)
    metrics.cycle_took(0.02)
    metrics.age("cycle", lambda: 1.5)
    metrics.age("pods", lambda: 3.0)
    text = metrics.text().decode()
    for line in (
        'millpond_decisions_total{action="Grow",reason="GoalExceeded"} 1.0',
        'millpond_api_writes_total{resource="replicasets",verb="patch"} 1.0',
        'millpond_routers{state="connected"} 2.0',
        "millpond_prometheus_up 1.0",
        'millpond_cycle_seconds_bucket{le="0.025"} 1.0',
        "millpond_cycle_age_seconds 1.5",
        'millpond_watch_age_seconds{resource="pods"} 3.0',
    ):
        assert line in text


def test_who_leads_no_more_shows_nothing_of_apps_and_routers() -> None:
    metrics = Metrics()
    metrics.leads(True)
    metrics.apps({"shop/web": AppFigures(desired=2, ready=1)})
    metrics.routers({"connected": 2})
    assert "millpond_leader 1.0" in metrics.text().decode()
    metrics.leads(False)
    text = metrics.text().decode()
    assert "millpond_leader 0.0" in text
    assert "millpond_servers_ready{" not in text
    assert "millpond_routers{" not in text
