"""A visitor behaves like a browser: it keeps its cookies as they came, and never visits twice at once."""

from http.cookies import SimpleCookie

from millpond.demo.requests.visitors import PACE_S, Visitor, Visitors


def test_cookies_come_back_as_they_were_sent_and_go_when_told() -> None:
    visitor = Visitor("s1", 10)
    visitor.keep(SimpleCookie('bound="CgwxMjc="; Path=/; HttpOnly'))
    visitor.keep(SimpleCookie("edition=v1; Path=/"))
    assert visitor.cookie_header == 'bound="CgwxMjc="; edition=v1'
    visitor.keep(SimpleCookie('bound=""; Max-Age=0'))
    visitor.keep(SimpleCookie("edition=v2"))
    assert visitor.cookie_header == "edition=v2"


def test_a_visitor_comes_again_after_its_answer_and_a_pause_and_leaves_for_good() -> None:
    visitors = Visitors(session_s=10, seed=1)
    first = visitors.next(0)
    second = visitors.next(2)  # the first one still waits for its answer
    assert second is not first
    visitors.back(first, 3)
    assert visitors.next(3) is not first  # too soon
    assert visitors.next(3 + PACE_S) is first
    visitors.back(first, 20)
    assert visitors.next(30) not in (first, second)
    assert len(visitors.all) == 4


def test_a_count_that_starts_again_means_that_the_server_forgot_and_a_gap_does_not() -> None:
    visitor = Visitor("s1", 10)
    assert [visitor.saw("v1", n) for n in (1, 2, 4, 1, 2)] == [False, False, False, True, False]
    assert (visitor.forgotten, visitor.moved) == (1, False)
    visitor.saw("v2", 3)
    assert visitor.moved
