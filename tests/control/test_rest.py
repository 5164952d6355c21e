"""How long the operator rests between two cycles."""

import pytest

from millpond.lead.bootstrap import MOST_REST_S, SHORTEST_REST_S, rest_s


@pytest.mark.parametrize(
    ("work_s", "rests_s"),
    [
        pytest.param(0.001, SHORTEST_REST_S, id="a small cycle: until a few changes have gathered"),
        pytest.param(0.1, 0.1, id="a cycle that was work: as long again, which is half a core"),
        pytest.param(3.0, MOST_REST_S, id="a very long one: no burst waits for that"),
    ],
)
def test_the_rest_is_as_long_as_the_work_within_limits(work_s: float, rests_s: float) -> None:
    assert rest_s(work_s) == rests_s
