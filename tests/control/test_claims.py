"""A host and path belongs to the app that was granted it and still asks for it, whatever others do."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.api.hosts import spelling
from millpond.control.observe.grants import ANY_EXACT, Grants, Namespace, namespace
from millpond.control.resolve.candidates import Candidate, Resolver
from millpond.control.resolve.claims import (
    MOST,
    NEVER_S,
    Claim,
    Claimant,
    Granted,
    allocate,
    dump,
    recorded,
)
from millpond.control.resolve.hosts import HostBook
from millpond_policies.reasons import Reason

from kube.builders import app as built
from kube.builders import status

ROOT, CART = Claim("shop.test"), Claim("shop.test", "/cart")
POLICY = {
    "metadata": {"name": "gold", "uid": "p", "resourceVersion": "1"},
    "spec": {"goal": {"type": "averageResponseTime", "target": "300ms"}},
}
POOL = {"metadata": {"name": "default", "uid": "d", "resourceVersion": "1"}, "spec": {"nodeSelector": {}}}


def claimant(key: str, *asks: Claim, born: float = 0.0, had: Iterable[Claim] = (), **more: Any) -> Claimant:
    cookie = more.pop("had_cookie", more.get("cookie"))
    records = {claim: Granted(since_s=more.pop("since", 5.0), cookie=cookie) for claim in had}
    return Claimant(key=key, created_s=born, asks=asks, records=records, **more)


@pytest.mark.parametrize(
    ("claimants", "holders"),
    [
        pytest.param(
            [claimant("a/young", ROOT, born=2.0), claimant("b/old", ROOT, born=1.0)],
            {ROOT: "b/old"},
            id="of two that ask at once the older gets it",
        ),
        pytest.param(
            [claimant("b/x", ROOT), claimant("a/x", ROOT)],
            {ROOT: "a/x"},
            id="of twins the one with the smaller key",
        ),
        pytest.param(
            [claimant("a/old", ROOT, born=1.0), claimant("b/young", ROOT, born=2.0, had=[ROOT])],
            {ROOT: "b/young"},
            id="an older app that edits its routes does not take a younger one's host",
        ),
        pytest.param(
            [claimant("a/old", ROOT, born=1.0, had=[CART]), claimant("b/young", ROOT, born=2.0, had=[ROOT])],
            {ROOT: "b/young"},
            id="nor one that holds something else on that host",
        ),
        pytest.param(
            [claimant("a/x", ROOT), claimant("b/y", CART)],
            {ROOT: "a/x", CART: "b/y"},
            id="two paths of one host are two claims",
        ),
        pytest.param(
            [claimant("a/broken", ROOT, born=1.0, able=False), claimant("b/young", ROOT, born=2.0)],
            {ROOT: "b/young"},
            id="an app that cannot run is granted nothing",
        ),
        pytest.param(
            [claimant("a/broken", ROOT, able=False, had=[ROOT]), claimant("b/young", ROOT)],
            {ROOT: "a/broken"},
            id="and keeps what it has",
        ),
        pytest.param(
            [claimant("a/moved", CART, had=[ROOT]), claimant("b/young", ROOT, born=9.0)],
            {CART: "a/moved", ROOT: "b/young"},
            id="what an edit gave up is free",
        ),
        pytest.param(
            [claimant("a/x", ROOT, cookie="S", born=1.0), claimant("b/y", CART, cookie="S", born=2.0)],
            {ROOT: "a/x"},
            id="a second app with the same affinity cookie gets nothing on that host",
        ),
        pytest.param(
            [claimant("a/x", ROOT, cookie="S", born=9.0), claimant("b/y", CART, cookie="S", had=[CART])],
            {CART: "b/y"},
            id="who holds something there has the cookie, too",
        ),
        pytest.param(
            [
                claimant("a/x", ROOT, cookie="S", had=[ROOT], had_cookie="T", since=1.0),
                claimant("b/y", CART, cookie="S", had=[CART], since=2.0),
            ],
            {CART: "b/y"},
            id="a change to a cookie that another one has there is a new claim, and in vain",
        ),
        pytest.param(
            [
                claimant("a/x", ROOT, cookie="U", had=[ROOT], had_cookie="T"),
                claimant("b/y", ROOT, cookie="U", born=-1.0),
            ],
            {ROOT: "a/x"},
            id="a change to a cookie that nobody has there takes nothing away",
        ),
        pytest.param(
            [claimant("a/x", ROOT, CART, cookie="S"), claimant("b/y", Claim("b.test"), cookie="S")],
            {ROOT: "a/x", CART: "a/x", Claim("b.test"): "b/y"},
            id="on hosts of their own apps may have the same cookie",
        ),
    ],
)
def test_who_gets_what(claimants: list[Claimant], holders: dict[Claim, str]) -> None:
    assert allocate(claimants).claims == holders
    assert allocate(reversed(claimants)).claims == holders


CLAIMS = st.builds(
    Claim, st.sampled_from(("a.test", "b.test", "*.test")), st.sampled_from(("/", "/x", "/x/y"))
)
SPECS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.lists(CLAIMS, max_size=4, unique=True),
        st.sampled_from((None, "S", "T")),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda spec: spec[0],
)


@settings(max_examples=200, deadline=None)
@given(st.lists(SPECS, min_size=1, max_size=6), st.randoms())
def test_no_claim_has_two_holders_and_no_holder_loses_what_it_goes_on_asking_for(history, random) -> None:
    before: dict[str, Claimant] = {}
    for now, specs in enumerate(history):
        claimants = [_next(before, number, asks, cookie, able) for number, asks, cookie, able in specs]
        held = allocate(claimants)
        shuffled = list(claimants)
        random.shuffle(shuffled)
        assert allocate(shuffled).claims == held.claims
        for one in claimants:
            for claim in set(one.asks) & one.records.keys():
                if one.records[claim].cookie == one.cookie:
                    assert held.claims[claim] == one.key
        for claim, key in held.claims.items():
            assert claim in next(c for c in claimants if c.key == key).asks
        _no_cookie_twice(claimants, held.claims)
        before = {c.key: _granted(c, held.claims, now) for c in claimants}


def _next(
    before: dict[str, Claimant], number: int, asks: Sequence[Claim], cookie: str | None, able: bool
) -> Claimant:
    known = before.get(f"ns/{number}")
    records = known.records if known is not None else {}
    return Claimant(
        key=f"ns/{number}", created_s=number % 3, asks=tuple(asks), cookie=cookie, able=able, records=records
    )


def _granted(one: Claimant, holders: dict[Claim, str], now: int) -> Claimant:
    mine = [claim for claim in one.asks if holders.get(claim) == one.key]
    since = {c: one.records[c].since_s if c in one.records else float(now) for c in mine}
    return replace(one, records={c: Granted(since_s=since[c], cookie=one.cookie) for c in mine})


def _no_cookie_twice(claimants: list[Claimant], holders: dict[Claim, str]) -> None:
    cookies = {c.key: c.cookie for c in claimants}
    seen: dict[tuple[str, str], str] = {}
    for claim, key in holders.items():
        if (cookie := cookies[key]) is not None:
            assert seen.setdefault((claim.host, cookie), key) == key


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ENTRIES = st.dictionaries(
    st.sampled_from(("host", "pathPrefix", "cookie", "since")), JSON | st.sampled_from(("a.test", "/", "/x"))
)


@settings(max_examples=150, deadline=None)
@given(JSON | st.fixed_dictionaries({"claims": JSON | st.lists(ENTRIES | JSON, max_size=MOST * 2)}))
def test_any_status_can_be_read(status: Any) -> None:
    found = recorded(status)
    assert len(found) <= MOST
    assert recorded({"claims": dump(found, 0.0)}).keys() == found.keys()


@settings(max_examples=150, deadline=None)
@given(st.text() | st.from_regex(r"(\*\.)?[A-Za-zÄß.-]{0,70}\.?(:[0-9]{1,6})?"))
def test_any_text_is_a_host_in_one_spelling_or_none(text: str) -> None:
    right = spelling(text)
    assert right is None or (spelling(right) == right and right.isascii() and right == right.lower())


@settings(max_examples=150, deadline=None)
@given(JSON, st.dictionaries(st.sampled_from(("millpond.dev/hosts", "x")), JSON) | JSON)
def test_any_annotation_of_a_namespace_can_be_read(host: Any, annotations: Any) -> None:
    found = namespace({"metadata": {"name": "shop", "annotations": annotations}})
    Grants(known={"shop": found}).allows("shop", "a.test")
    Grants(known={"shop": found}).told("shop")


def about(name: str, hosts: str | None = None) -> Namespace:
    annotations = {} if hosts is None else {"millpond.dev/hosts": hosts}
    return namespace({"metadata": {"name": name, "annotations": annotations}})


GRANTED = Grants(
    known={
        "named": about("named", "Shop.test., *.x.test"),
        "all": about("all", "*"),
        "none": about("none", ""),
        "plain": about("plain"),
    }
)


@pytest.mark.parametrize(
    ("where", "host", "default", "may"),
    [
        pytest.param("named", "shop.test", ANY_EXACT, True, id="a host that the annotation names"),
        pytest.param("named", "other.test", ANY_EXACT, False, id="no other, though the default has it"),
        pytest.param("named", "a.b.x.test", ANY_EXACT, True, id="what a pattern covers, at any depth"),
        pytest.param("named", "x.test", ANY_EXACT, False, id="but not its root"),
        pytest.param("named", "*.x.test", ANY_EXACT, True, id="the pattern itself"),
        pytest.param("named", "*.a.x.test", ANY_EXACT, True, id="and narrower ones"),
        pytest.param("named", "*.test", ANY_EXACT, False, id="but no wider one"),
        pytest.param("named", "*.shop.test", ANY_EXACT, False, id="below an exact host nothing"),
        pytest.param("all", "*", (), True, id="everything"),
        pytest.param("none", "shop.test", ANY_EXACT, False, id="an empty grant is none"),
        pytest.param("plain", "shop.test", ANY_EXACT, True, id="without one the default holds"),
        pytest.param("plain", "shop.test", (), False, id="which may be nothing"),
        pytest.param("plain", "a.apps.test", ("*.apps.test",), True, id="or a pattern"),
        pytest.param("plain", "*.apps.test", ("*.apps.test",), False, id="a wildcard needs a grant"),
        pytest.param("plain", "*", ANY_EXACT, False, id="every host needs a grant, whatever the default"),
        pytest.param("unread", "shop.test", ANY_EXACT, True, id="a namespace that cannot be read has the default"),
        pytest.param("unread", "*.test", ANY_EXACT, False, id="and no wildcard"),
    ],
)  # fmt: skip
def test_who_may_claim_what(where: str, host: str, default: tuple[str, ...], may: bool) -> None:
    assert replace(GRANTED, default=default).allows(where, host) is may


def raw(
    name: str,
    *routes: str,
    born: int = 1,
    namespace: str = "shop",
    had: Iterable[str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """An app as the API server has it; ``had``: the claims that its status records."""
    base = built().raw
    meta = {
        "namespace": namespace,
        "name": name,
        "uid": f"{namespace}-{name}",
        "creationTimestamp": f"2026-01-01T00:00:0{born}Z",
        "resourceVersion": "1",
    }
    routed = [{"host": r.partition("/")[0], "pathPrefix": "/" + r.partition("/")[2]} for r in routes]
    found = {**base, "metadata": meta, "spec": {**base["spec"], **spec, "routes": routed}}
    cookie = (spec.get("affinity") or {}).get("cookie")
    claims = [
        {
            "host": h.partition("/")[0],
            "pathPrefix": "/" + h.partition("/")[2],
            "since": "2026-01-01T00:00:00Z",
        }
        | ({"cookie": cookie} if cookie else {})
        for h in had or ()
    ]
    return found if had is None else {**found, "status": {"claims": claims}}


def settled(
    *apps: dict[str, Any], grants: Grants | None = None, policies: Any = None
) -> dict[str, Candidate]:
    keyed = {f"{a['metadata']['namespace']}/{a['metadata']['name']}": a for a in apps}
    known = policies if policies is not None else {"gold": POLICY}
    return HostBook().settle(Resolver().resolve(keyed, known, {"default": POOL}), grants or Grants())


def message(app: Candidate) -> str:
    """Of the condition Contested."""
    found = status(app, None, None, None, (), 0.0)["conditions"]
    return next(str(c["message"]) for c in found if c["type"] == "Contested")


def holds(app: Candidate) -> list[str]:
    return sorted(map(str, app.claims))


def test_an_older_app_gets_a_running_younger_ones_host_neither_by_routes_nor_by_a_preview() -> None:
    young = raw("young", "cart.test", born=9, had=["cart.test"])
    edited = raw("old", "old.test", "cart.test", had=["old.test"])
    previewed = raw("old", "old.test", had=["old.test"], rollout={"preview": {"host": "cart.test"}})
    for old in (edited, previewed):
        found = settled(old, young)
        assert (holds(found["shop/old"]), holds(found["shop/young"])) == (["old.test"], ["cart.test"])
        assert found["shop/young"].contested == ()
        (contest,) = found["shop/old"].contested
        assert contest.reason is Reason.HOST_TAKEN
        assert not found["shop/old"].homeless


def test_a_contest_names_field_host_and_path_and_no_app_of_another_namespace() -> None:
    young = raw("young", "cart.test/a", "own.test", born=9, namespace="bank")
    found = settled(raw("old", "cart.test/a", namespace="secret"), young)["bank/young"]
    assert message(found) == (
        "spec.routes[0]: cart.test/a: another app holds it and gets its requests: choose another host or path"
    )
    assert holds(found) == ["own.test"]
    same = settled(raw("old", "cart.test/a"), raw("young", "cart.test/a", born=9))["shop/young"]
    assert "app shop/old holds it" in message(same)
    assert same.homeless


def test_a_host_that_is_not_allowed_is_refused_with_what_is_and_lost_when_a_grant_is_withdrawn() -> None:
    granted = raw("cart", "cart.test", "*.cart.test", namespace="named", had=["cart.test", "*.cart.test"])
    about = namespace(
        {"metadata": {"name": "named", "annotations": {"millpond.dev/hosts": "cart.test, *.cart.test"}}}
    )
    found = settled(granted, grants=Grants(known={"named": about}))["named/cart"]
    assert holds(found) == ["*.cart.test", "cart.test"]
    found = settled(granted, grants=GRANTED)["named/cart"]
    assert holds(found) == []
    assert found.homeless
    assert [c.reason for c in found.contested] == [Reason.HOST_NOT_ALLOWED] * 2
    assert message(found) == (
        "spec.routes[0]: cart.test, spec.routes[1]: *.cart.test: namespace 'named' may claim: *.x.test, shop.test; "
        "an admin grants more by the annotation millpond.dev/hosts of the Namespace"
    )
    found = settled(granted, grants=Grants())["named/cart"]
    assert holds(found) == ["*.cart.test", "cart.test"], "ignorance takes nothing away"


def test_an_app_that_cannot_run_takes_no_host_and_keeps_its_own() -> None:
    lost = {"sla": {"policy": "gone"}}
    broken = raw("broken", "cart.test", **lost)
    found = settled(broken, raw("young", "cart.test", born=9))
    assert (holds(found["shop/broken"]), holds(found["shop/young"])) == ([], ["cart.test"])
    alone = settled(broken)["shop/broken"]
    assert (holds(alone), alone.contested, alone.homeless) == ([], (), True)
    found = settled(raw("broken", "cart.test", had=["cart.test"], **lost), raw("young", "cart.test"))
    assert holds(found["shop/broken"]) == ["cart.test"]


def test_an_app_whose_spec_cannot_be_read_keeps_what_it_has() -> None:
    broken = raw("broken", "cart.test", had=["cart.test", "cart.test/x"])
    broken["spec"]["port"] = "http"
    found = settled(broken, raw("young", "cart.test", born=9))
    assert holds(found["shop/broken"]) == ["cart.test", "cart.test/x"]
    assert found["shop/young"].contested


def test_apps_from_before_claims_were_recorded_go_by_age_also_those_that_have_a_problem_now() -> None:
    old = raw("old", "cart.test", sla={"policy": "gone"}) | {"status": {"edition": "v1"}}
    found = settled(old, raw("young", "cart.test", born=9) | {"status": {"edition": "v1"}})
    assert holds(found["shop/old"]) == ["cart.test"]
    unread = raw("old", "cart.test") | {"status": {"edition": "v1"}}
    unread["spec"]["mode"] = "Nonsense"
    found = settled(unread, raw("young", "cart.test", born=9) | {"status": {"edition": "v1"}})
    assert holds(found["shop/old"]) == ["cart.test"]


def test_the_records_that_a_status_gets_are_read_again_as_they_were() -> None:
    found = settled(raw("cart", "cart.test", "cart.test/x", affinity={"cookie": "S"}))["shop/cart"]
    assert all(record.since_s == NEVER_S for record in found.claims.values())
    again = recorded({"claims": dump(found.claims, 1000.9)})
    assert again == {claim: Granted(since_s=1000.0, cookie="S") for claim in found.claims}


@settings(max_examples=100, deadline=None)
@given(JSON, JSON)
def test_whatever_a_spec_or_status_holds_the_neighbour_keeps_its_host(spec: Any, status: Any) -> None:
    hostile = raw("hostile", "cart.test") | {"spec": {"routes": spec}, "status": status}
    found = settled(
        hostile | {"status": {"claims": status}}, raw("good", "cart.test", born=9, had=["cart.test"])
    )
    assert holds(found["shop/good"]) == ["cart.test"]


def test_a_settled_book_computes_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    book, resolver = HostBook(), Resolver()
    apps = {f"shop/a{n}": raw(f"a{n}", f"a{n}.test") for n in range(3)}
    calls: list[object] = []
    monkeypatch.setattr("millpond.control.resolve.hosts.allocate", lambda c: calls.append(c) or allocate(c))
    for _ in range(3):
        book.settle(resolver.resolve(apps, {"gold": POLICY}, {"default": POOL}), Grants())
    assert len(calls) == 1
