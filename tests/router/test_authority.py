"""What the authority of the line between operator and routers issues, and when."""

from millpond.router.trust.authority import Lives, Signed, Trust, router_identity

NAMESPACE = "millpond-system"
NAMES = ("localhost", "127.0.0.1")
DAY_S = 86_400.0
NOW_S = 1_800_000_000.0
LIVES = Lives()


def test_an_authority_is_replaced_in_three_stages() -> None:
    first = Trust.new(NOW_S, LIVES)
    assert first.after(NOW_S + 2400 * DAY_S, LIVES) is first
    announced = first.after(NOW_S + 2434 * DAY_S, LIVES)
    assert announced.signing == first.signing
    assert announced.coming is not None
    assert announced.bundle.count(b"BEGIN CERTIFICATE") == 2
    assert announced.after(announced.since_s + LIVES.announce_s - 1, LIVES) is announced
    promoted = announced.after(announced.since_s + LIVES.announce_s, LIVES)
    assert promoted.signing == announced.coming
    assert promoted.gone == first.signing.certificate
    assert promoted.after(promoted.since_s + LIVES.leaf_s - 1, LIVES, wanted=True) is promoted
    alone = promoted.after(promoted.since_s + LIVES.leaf_s, LIVES)
    assert alone.bundle.strip() == promoted.signing.certificate.strip()
    assert alone.after(alone.since_s + 1, LIVES) is alone


def test_somebody_may_want_a_new_authority_before_its_time() -> None:
    first = Trust.new(NOW_S, LIVES)
    assert first.after(NOW_S + 1, LIVES, wanted=True).coming is not None


def test_a_certificate_is_renewed_after_two_thirds_of_its_life() -> None:
    trust = Trust.new(NOW_S, LIVES)
    leaf = trust.for_router(NAMESPACE, NOW_S, LIVES)
    assert trust.sound(leaf, [router_identity(NAMESPACE)], NOW_S + 59 * DAY_S, LIVES)
    assert not trust.sound(leaf, [router_identity(NAMESPACE)], NOW_S + 61 * DAY_S, LIVES)


def test_a_certificate_is_made_again_when_names_or_authority_changed_or_it_is_damaged() -> None:
    trust = Trust.new(NOW_S, LIVES)
    leaf = trust.for_server(NAMES, NOW_S, LIVES)
    assert trust.sound(leaf, NAMES, NOW_S, LIVES)
    assert not trust.sound(leaf, (*NAMES, "xds.example"), NOW_S, LIVES)
    assert not Trust.new(NOW_S, LIVES).sound(leaf, NAMES, NOW_S, LIVES)
    other = trust.for_server(NAMES, NOW_S, LIVES)
    assert not trust.sound(Signed(leaf.certificate, other.key), NAMES, NOW_S, LIVES)
    assert not trust.sound(Signed(b"-----BEGIN", leaf.key), NAMES, NOW_S, LIVES)


def test_nothing_lives_longer_than_its_authority() -> None:
    lives = Lives(authority_s=10 * DAY_S)
    trust = Trust.new(NOW_S, lives)
    assert trust.for_router(NAMESPACE, NOW_S, lives).until_s() == NOW_S + 10 * DAY_S


def test_keys_do_not_get_into_logs() -> None:
    assert "PRIVATE" not in repr(Trust.new(NOW_S, LIVES))
