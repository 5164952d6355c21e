"""The chart counts as installed once the API server heeds its policies, and knows what they are about."""

from collections.abc import Iterator

import pytest

from millpond.local.cluster import chart
from millpond.local.errors import KubectlError

UNHEEDED = '{"metadata": {"name": "probe-x"}}'
HEEDED = '{"metadata": {"annotations": {"millpond.dev/submitter": "admin"}}}'
UNKNOWN = KubectlError("Kind=ElasticApp not found. There can be a delay")


class Server:
    """Answers probes one after the other, the last one for ever; everything else is fine."""

    def __init__(self, *answers: str | KubectlError) -> None:
        self.probes = 0
        self._answers: Iterator[str | KubectlError] = iter(answers)
        self._last: str | KubectlError = ""

    def __call__(self, *args: str, stdin: str | None = None) -> str:
        if "--dry-run=server" not in args:
            return ""
        assert args[0] == "create"
        assert stdin
        self.probes += 1
        self._last = next(self._answers, self._last)
        if isinstance(self._last, KubectlError):
            raise self._last
        return self._last


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart, "_PROBED_EVERY_S", 0.0)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param((HEEDED,), id="at once"),
        pytest.param((UNHEEDED, UNHEEDED, HEEDED), id="not heeded at first"),
        pytest.param((UNHEEDED, UNKNOWN, UNKNOWN, HEEDED), id="heeded before the kind is known"),
    ],
)
def test_it_waits_until_policies_leave_their_mark(answers: tuple[str | KubectlError, ...]) -> None:
    server = Server(*answers)
    chart.install(server)
    assert server.probes == len(answers)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param(UNKNOWN, "There can be a delay", id="unknown"),
        pytest.param(UNHEEDED, "heed", id="unheeded"),
    ],
)
def test_it_says_what_keeps_apps_from_being_made(
    answer: str | KubectlError, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart, "_ADMITTED_S", 0.05)
    with pytest.raises(KubectlError, match=rf"no ElasticApp can be made.*{says}"):
        chart.install(Server(answer))
