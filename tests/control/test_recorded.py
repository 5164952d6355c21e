"""What is recorded was done."""

from kube.tenants import QUIET, Tenants, cluster


async def test_a_retirement_that_may_not_begin_yet_is_not_recorded() -> None:
    """Right after a start, nothing is taken away; meanwhile another server may become the better victim."""
    tenants = Tenants()
    tenants.cycle.acts.hands.may_act = lambda: False
    found = cluster(QUIET)
    app = found[f"elasticapps/{QUIET}/web"]
    spec = {**app["spec"], "mode": "Manual", "replicas": 1, "servers": {"min": 1, "max": 4}}
    found[f"elasticapps/{QUIET}/web"] = {**app, "spec": spec}
    tenants.load(found)

    def decisions() -> list[str]:
        status = tenants.world.apps.store.items()[f"{QUIET}/web"]["status"]
        return [d["action"] for d in status["decisions"] if d["action"] != "Hold"]

    for _ in range(4):
        await tenants.once()
    assert decisions() == []
    tenants.cycle.acts.hands.may_act = lambda: True
    for _ in range(2):
        await tenants.once()
    assert decisions() == ["Retire"]
