"""A faster world for long loads: requests as a fluid, one step a second, responses from the true curve.

Servers are CPU-bound as in the trials of the sizing law: one core, 50 ms of CPU and 50 ms of other wait a request;
they start in 30 s and work at half speed for 30 s more.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from millpond_policies.goals import Goal, GoalKind
from millpond_policies.learn.curve import Curve
from millpond_policies.learn.learning import Memory, Sample, learn, learn_start
from millpond_policies.plan import plan
from millpond_policies.world.actions import CancelRetire, CancelStarting, Grow, Retire
from millpond_policies.world.model import App, EditionView, Freshness, Server, ServerState, Snapshot

GOAL = Goal(kind=GoalKind.AVERAGE, target_ms=300)
CURVE = Curve(base_ms=100, tail_ms=100, peak_rps=20, slots=1)
SUSTAINED_RPS = CURVE.rate_within(GOAL)
START_S, WARM_S = 30, 30
EPOCH_S = 1_700_000_000.0


@dataclass
class Result:
    requests: float = 0.0
    missed: float = 0.0  # requests in windows of 10 s whose mean was above the goal
    server_s: float = 0.0
    oracle_s: float = 0.0
    changes: int = 0

    @property
    def missed_percent(self) -> float:
        return 100 * self.missed / max(1.0, self.requests)

    @property
    def cost(self) -> float:
        """Server-hours ÷ those of an oracle that knows the load one start time ahead."""
        return self.server_s / self.oracle_s


@dataclass
class Fluid:
    load: Callable[[int], float]
    seed: int = 1
    memory: Memory = field(default_factory=lambda: learn_start(Memory(), START_S))

    def run(self, seconds: int, servers: int = 1) -> Result:
        self.rng = Random(self.seed)
        self.births = {f"s{i}": -10_000 for i in range(servers)}
        self.draining: set[str] = set()
        self.backlog = 0.0
        self.smooth_rps = self.load(0) / servers
        result, window = Result(), (0.0, 0.0)
        needs = [max(1, math.ceil(self.load(t) / SUSTAINED_RPS)) for t in range(seconds + START_S)]
        for t in range(seconds):
            sample = self._step(t)
            window = (window[0] + sample.requests, window[1] + sample.sum_ms)
            if t % 10 == 9:
                result.requests += window[0]
                over = window[1] > 300 * window[0]
                result.missed, window = result.missed + over * window[0], (0.0, 0.0)
            result.changes += self._decide(t, sample)
            result.server_s += len(self.births)
            result.oracle_s += max(needs[t : t + START_S])
        return result

    def _step(self, t: int) -> Sample:
        mean = self.load(t)
        arrivals = max(0, round(self.rng.gauss(mean, math.sqrt(mean)) if mean > 0 else 0))
        ready = [b for name, b in self.births.items() if t - b >= START_S and name not in self.draining]
        speed = sum(0.5 if t - b < START_S + WARM_S else 1.0 for b in ready)
        able = speed * CURVE.peak_rps
        before = self.backlog
        done = math.floor(min(before + arrivals, able))
        self.backlog = before + arrivals - done
        self.smooth_rps += 0.1 * (done / max(0.5, speed) - self.smooth_rps)  # a queue follows its load slowly
        rate = min(self.smooth_rps, 0.97 * CURVE.peak_rps)
        response = CURVE.response_ms(GOAL, rate) + 1000 * (before + self.backlog) / 2 / max(1.0, able)
        return Sample(
            at_s=EPOCH_S + t,
            window_s=1.0,
            requests=done,
            sum_ms=done * response,
            in_flight=round(self.backlog + done * CURVE.response_ms(GOAL, rate) / 1000),
            serving=len(ready),
            young=sum(t - b < START_S + WARM_S for b in ready),
            starting=len(self.births) - len(ready) - len(self.draining),
        )

    def _decide(self, t: int, sample: Sample) -> int:
        self.memory = learn(self.memory, sample, GOAL)
        changes = 0
        for verdict in plan(Snapshot(apps=(self._app(t, sample.in_flight),)), EPOCH_S + t):
            match verdict:
                case Grow():
                    for i in range(verdict.to - len(self.births)):
                        self.births[f"s{t}-{i}"] = t
                case CancelStarting():
                    for name in sorted(self.births, key=lambda n: -self.births[n])[
                        : len(self.births) - verdict.to
                    ]:
                        del self.births[name]
                case Retire():
                    self.draining.add(verdict.uid)
                case CancelRetire():
                    self.draining.discard(verdict.uid)
                case _:
                    continue
            changes += 1
        for name in [n for n in self.draining if t % 3 == 0]:
            self.draining.discard(name)
            del self.births[name]
        return changes

    def _app(self, t: int, in_flight: int) -> App:
        servers = tuple(self._server(name, t, in_flight // len(self.births)) for name in self.births)
        view = EditionView(name="v1", ordered=len(servers), memory=self.memory, freshness=Freshness.FRESH)
        return App(
            key="shop/web",
            edition="v1",
            active="v1",
            goal=GOAL,
            min_servers=1,
            max_servers=100,
            editions=(view,),
            servers=servers,
        )

    def _server(self, name: str, t: int, in_flight: int) -> Server:
        born = self.births[name]
        state = ServerState.SERVING if t - born >= START_S else ServerState.STARTING
        if name in self.draining:
            state = ServerState.DRAINING
        return Server(
            uid=name,
            name=name,
            edition="v1",
            state=state,
            created_s=EPOCH_S + born,
            serving_since_s=EPOCH_S + born + START_S if state is ServerState.SERVING else None,
            in_flight=in_flight if state is ServerState.SERVING else 0,
        )
