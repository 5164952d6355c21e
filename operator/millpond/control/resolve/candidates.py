"""From raw objects to apps that may be acted on: the checks that admission cannot make, each with its answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from millpond.api.checks.parsing import SpecError
from millpond.api.kinds import dynamicpool, elasticapp, slapolicy
from millpond.control.guard.faults import Faults
from millpond.control.resolve.claims import Claim, Granted
from millpond.control.resolve.salvage import salvaged
from millpond.kube.raw import fields
from millpond_policies.reasons import Reason
from millpond_policies.world.model import Goal

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why an app cannot be acted on. What already runs goes on running."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A host and path that an app asks for in vain; ``field`` is where it asks, such as spec.routes[0]."""

    field: str
    claim: Claim
    reason: Reason
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resolved:
    """The object, and which hosts and paths it holds (`HostBook`)."""

    key: str
    raw: Raw
    spec: elasticapp.ElasticAppSpec | None
    claims: Mapping[Claim, Granted] = field(default_factory=dict)  # what it holds
    crowded: frozenset[str] = frozenset()  # hosts of these on which other apps have paths, too
    denied: frozenset[Claim] = frozenset()  # what its spec names and it does not hold
    contested: tuple[Contest, ...] = ()  # why

    @property
    def namespace(self) -> str:
        return str(self.raw["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.raw["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.raw["metadata"]["uid"])

    @property
    def generation(self) -> int:
        return int(self.raw["metadata"].get("generation", 0))

    @property
    def status(self) -> Raw:
        return fields(self.raw.get("status"))

    @property
    def homeless(self) -> bool:
        """Nothing that its routes name is its own."""
        return self.spec is not None and all(
            Claim(r.host, r.path_prefix) in self.denied for r in self.spec.routes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidApp(_Resolved):
    """An app whose spec can be read and whose references are there and allow it: only these are acted on."""

    spec: elasticapp.ElasticAppSpec
    policy: slapolicy.SLAPolicySpec
    pool: dynamicpool.DynamicPoolSpec

    @property
    def problem(self) -> None:
        return None

    @property
    def served(self) -> elasticapp.ElasticAppSpec:
        """By which requests are routed and drains finish."""
        return self.spec

    @property
    def goal(self) -> Goal:
        return self.policy.goal.to_goal()


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidApp(_Resolved):
    """An app with a problem: nothing is started, sized or rolled out, and what runs is routed and drained on."""

    problem: Problem
    spec: elasticapp.ElasticAppSpec | None = None  # None: it cannot be read
    salvaged: elasticapp.ElasticAppSpec | None = None  # of a spec that cannot be read
    policy: slapolicy.SLAPolicySpec | None = None

    @property
    def served(self) -> elasticapp.ElasticAppSpec | None:
        """By which requests are routed and drains finish: a spec that can't be read any more takes nothing back."""
        return self.spec or self.salvaged

    @property
    def goal(self) -> Goal | None:
        return self.policy.goal.to_goal() if self.policy is not None else None


Candidate: TypeAlias = ValidApp | InvalidApp


def valid(candidates: Mapping[str, Candidate]) -> dict[str, ValidApp]:
    """Those that may be acted on."""
    return {key: app for key, app in candidates.items() if isinstance(app, ValidApp)}


class Resolver:
    """Resolves all apps; parses an object again only when its resourceVersion changed."""

    def __init__(self) -> None:
        self._parsed: dict[str, tuple[str, Any]] = {}
        self._good: dict[str, elasticapp.ElasticAppSpec] = {}  # by UID, the last that could be read
        self._valid: dict[
            str, tuple[ValidApp, Raw, Raw]
        ] = {}  # with the policy and the pool that it was made of

    def resolve(
        self,
        apps: Mapping[str, Raw],
        policies: Mapping[str, Raw],
        pools: Mapping[str, Raw],
        faults: Faults | None = None,
    ) -> dict[str, Candidate]:
        """``faults``: take what fails for one app; without, it is raised."""
        live = [raw for raw in apps.values() if "deletionTimestamp" not in raw["metadata"]]
        alive = {raw["metadata"]["uid"] for group in (apps, policies, pools) for raw in group.values()}
        self._parsed = {uid: parsed for uid, parsed in self._parsed.items() if uid in alive}
        self._good = {uid: spec for uid, spec in self._good.items() if uid in alive}
        self._valid = {key: known for key, known in self._valid.items() if key in apps}
        found: dict[str, Candidate] = {}
        for raw in live:
            key = _key(raw)
            try:
                found[key] = self._as_before(key, raw, policies, pools) or self._candidate(
                    raw, policies, pools
                )
            except Exception as error:
                if faults is None:
                    raise
                faults.failed(key, "resolve", error)
                problem = Problem(reason=Reason.INTERNAL_ERROR, message="the operator cannot read it")
                last = self._good.get(raw["metadata"]["uid"])
                found[key] = InvalidApp(key=key, raw=raw, problem=problem, salvaged=last)
        return found

    def _as_before(
        self, key: str, raw: Raw, policies: Mapping[str, Raw], pools: Mapping[str, Raw]
    ) -> ValidApp | None:
        """The same value while nothing that it was made of is another."""
        known = self._valid.get(key)
        if known is None:
            return None
        app, policy, pool = known
        same = policies.get(app.spec.sla.policy) is policy and pools.get(app.spec.pool) is pool
        return app if same and app.raw is raw else None

    def _candidate(self, raw: Raw, policies: Mapping[str, Raw], pools: Mapping[str, Raw]) -> Candidate:
        namespace, key = raw["metadata"]["namespace"], _key(raw)
        spec = self._parse(elasticapp.parse, raw)
        if isinstance(spec, Problem):
            return InvalidApp(key=key, raw=raw, problem=spec, salvaged=self._last(raw))
        self._good[raw["metadata"]["uid"]] = spec
        policy, why_policy = self._reference(
            slapolicy.parse, policies, spec.sla.policy, namespace, "sla.policy", "SLAPolicy", _POLICY
        )
        pool, why_pool = self._reference(
            dynamicpool.parse, pools, spec.pool, namespace, "pool", "DynamicPool", _POOL
        )
        if (problem := why_policy or why_pool) is not None:
            return InvalidApp(key=key, raw=raw, problem=problem, spec=spec, policy=policy)
        found = ValidApp(key=key, raw=raw, spec=spec, policy=policy, pool=pool)
        self._valid[key] = found, policies[spec.sla.policy], pools[spec.pool]
        return found

    def _last(self, raw: Raw) -> elasticapp.ElasticAppSpec | None:
        """The last spec of the app that could be read; after a restart, what can be read of this one."""
        uid = raw["metadata"]["uid"]
        if uid not in self._good and (found := salvaged(raw.get("spec"))) is not None:
            self._good[uid] = found
        return self._good.get(uid)

    def _parse(self, parse: Any, raw: Raw) -> Any:
        uid, version = raw["metadata"]["uid"], raw["metadata"].get("resourceVersion", "")
        known = self._parsed.get(uid)
        if known is None or known[0] != version:
            try:
                parsed = parse(raw)
            except SpecError as refused:
                parsed = Problem(reason=Reason.INVALID_SPEC, message=str(refused))
            known = self._parsed[uid] = (version, parsed)
        return known[1]

    def _reference(
        self,
        parse: Any,
        found: Mapping[str, Raw],
        name: str,
        namespace: str,
        field: str,
        kind: str,
        reasons: tuple[Reason, Reason],
    ) -> tuple[Any, Problem | None]:
        raw = found.get(name)
        if raw is None:
            known = ", ".join(sorted(found)) or "none"
            text = f"spec.{field}: there is no {kind} {name!r}; the cluster has: {known}"
            return None, Problem(reason=reasons[0], message=text)
        spec = self._parse(parse, raw)
        if isinstance(spec, Problem):
            return None, Problem(reason=spec.reason, message=f"{kind} {name}: {spec.message}")
        if not spec.allows(namespace):
            allowed = spec.allowed_namespaces or ()
            text = f"spec.{field}: {kind} {name!r} may not be used by namespace {namespace!r}; it allows: "
            return None, Problem(reason=reasons[1], message=text + (", ".join(sorted(allowed)) or "none"))
        return spec, None


_POLICY = (Reason.POLICY_NOT_FOUND, Reason.POLICY_NOT_ALLOWED)
_POOL = (Reason.POOL_NOT_FOUND, Reason.POOL_NOT_ALLOWED)


def _key(raw: Raw) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"
