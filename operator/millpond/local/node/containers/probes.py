"""Probes: what is asked, how often, and when the answer counts."""

from dataclasses import dataclass

from millpond.local.node.api import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A probe with Kubernetes' defaults filled in; ``spec`` holds its httpGet, tcpSocket or exec."""

    spec: Json
    initial_delay_s: float
    period_s: float
    timeout_s: float
    success_threshold: int
    failure_threshold: int
    grace_s: float | None  # of its own, for the kill that follows

    @classmethod
    def of(cls, container: Json, kind: str) -> "Probe | None":
        """``kind``: startupProbe, readinessProbe or livenessProbe."""
        if kind not in container:
            return None
        spec = container[kind]
        return cls(
            spec=spec,
            initial_delay_s=spec.get("initialDelaySeconds", 0),
            period_s=spec.get("periodSeconds", 10),
            timeout_s=spec.get("timeoutSeconds", 1),
            success_threshold=spec.get("successThreshold", 1),
            failure_threshold=spec.get("failureThreshold", 3),
            grace_s=spec.get("terminationGracePeriodSeconds"),
        )


class Streak:
    """Turns single answers into a verdict: it changes only after enough equal answers in a row."""

    def __init__(self, probe: Probe, verdict: bool | None = None) -> None:
        self.verdict = verdict  # None: not known yet
        self._probe = probe
        self._last: bool | None = None
        self._run = 0

    def add(self, ok: bool) -> bool:
        """True when this answer changed the verdict."""
        self._run = self._run + 1 if ok == self._last else 1
        self._last = ok
        enough = self._probe.success_threshold if ok else self._probe.failure_threshold
        if self._run < enough or ok == self.verdict:
            return False
        self.verdict = ok
        return True
