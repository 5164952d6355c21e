"""The cache by itself: what wins when answers, lists and watch events overtake each other."""

import pytest

from millpond.kube.cache import Store
from millpond.kube.client import Object


def pod(name: str, version: int, *, uid: str = "u") -> Object:
    meta = {"namespace": "shop", "name": name, "resourceVersion": str(version), "uid": uid}
    return {"metadata": meta}


def replace(store: Store[str], *listed: Object, version: int) -> None:
    store.replace([store.trim(obj) for obj in listed], version)


@pytest.fixture
def store() -> Store[str]:
    store = Store(lambda obj: str(obj["metadata"]["resourceVersion"]), lambda: 0.0)
    replace(store, pod("a", 5), pod("b", 7), version=10)
    return store


def test_a_list_replaces_everything(store: Store[str]) -> None:
    replace(store, pod("b", 7), version=12)
    assert dict(store.items()) == {"shop/b": "7"}


def test_our_own_write_is_seen_before_the_watch_tells(store: Store[str]) -> None:
    store.own(pod("a", 11))
    assert store.get("shop/a") == "11"
    assert not store.apply("MODIFIED", pod("a", 11)), "the watch says nothing new then"


def test_an_older_event_does_not_undo_our_own_write(store: Store[str]) -> None:
    store.own(pod("a", 13))
    store.apply("MODIFIED", pod("a", 11))
    assert store.get("shop/a") == "13"


def test_an_answer_that_arrives_after_the_deletion_raises_no_ghost(store: Store[str]) -> None:
    store.apply("DELETED", pod("a", 12))
    store.own(pod("a", 11))
    assert store.get("shop/a") is None


def test_a_list_that_was_read_before_our_write_does_not_lose_it(store: Store[str]) -> None:
    store.own(pod("c", 20))
    replace(store, pod("b", 7), version=15)
    assert dict(store.items()) == {"shop/b": "7", "shop/c": "20"}


def test_recreated_under_the_same_name_it_is_the_new_one(store: Store[str]) -> None:
    store.apply("DELETED", pod("a", 11))
    store.apply("ADDED", pod("a", 12, uid="new"))
    assert store.get("shop/a") == "12"


def test_a_bookmark_proves_life_and_changes_nothing() -> None:
    now = [100.0]
    store = Store(lambda obj: obj, lambda: now[0])
    store.replace([], 1)
    now[0] = 150.0
    assert store.age_s(now[0]) == 50.0
    assert not store.apply("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    assert store.age_s(now[0]) == 0.0
    assert dict(store.items()) == {}


def unreadable(obj: Object) -> str:
    if obj["metadata"].get("uid") == "bad":
        raise RecursionError("nobody can read it")
    return str(obj["metadata"]["resourceVersion"])


def test_an_object_that_cannot_be_read_stays_as_it_was_and_takes_no_other_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store: Store[str] = Store(unreadable, lambda: 0.0)
    store.replace(
        list(store.trimmed([pod("a", 5), pod("new", 6, uid="bad"), {"metadata": None}, pod("b", 7)])), 10
    )
    assert dict(store.items()) == {"shop/a": "5", "shop/b": "7"}
    store.apply("MODIFIED", pod("a", 11, uid="bad"))
    store.apply("MODIFIED", pod("b", 12))
    assert dict(store.items()) == {"shop/a": "5", "shop/b": "12"}
    listed = [pod("a", 11, uid="bad"), pod("b", 12)]
    store.replace(list(store.trimmed(listed)), 13)
    store.replace(list(store.trimmed(listed)), 14)
    assert dict(store.items()) == {"shop/a": "5", "shop/b": "12"}
    said = [r.getMessage() for r in caplog.records]
    assert len([line for line in said if "shop/a" in line]) == 1, "once for each version"
    assert store.unread == 3
    store.apply("MODIFIED", pod("a", 15))
    assert dict(store.items()) == {"shop/a": "15", "shop/b": "12"}
    store.apply("DELETED", pod("a", 16))
    assert "shop/a" not in store.items()
