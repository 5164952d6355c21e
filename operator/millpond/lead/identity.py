"""The operator's certificate authority and what routers show, kept in two Secrets of its own namespace.

`millpond-xds-ca` has the authority, which only operators need; `millpond-xds-router` has what a router mounts. All that
run this come to the same: a write holds only for what was read, and whoever was slower reads again.
"""

import asyncio
import base64
import binascii
import contextlib
import logging
from collections.abc import Mapping, Sequence

from millpond.api.names import GROUP
from millpond.clock import Clock, from_rfc3339, rfc3339
from millpond.kube import paths
from millpond.kube.client import Api, Object
from millpond.kube.errors import ApiError, Conflict, Invalid, NotFound, Unavailable
from millpond.router.trust.authority import Lives, Signed, Trust, router_identity
from millpond.router.trust.tls import ServerTls

log = logging.getLogger(__name__)
CA_SECRET, ROUTER_SECRET = "millpond-xds-ca", "millpond-xds-router"
SINCE_ANNOTATION = f"{GROUP}/since"  # on the authority's Secret: when its present stage began
ROTATE_ANNOTATION = f"{GROUP}/rotate"  # on the same, by an admin: a new authority is wanted
_PERIOD_S, _AGAIN_S = 60.0, 1.0
_ATTEMPTS = 10


def service_names(namespace: str, more: Sequence[str] = ()) -> tuple[str, ...]:
    """What the operator is called by its routers: as a Service, on this machine, and as the admin says."""
    service = f"millpond-operator.{namespace}"
    usual = (
        "millpond-operator",
        service,
        f"{service}.svc",
        f"{service}.svc.cluster.local",
        "localhost",
        "127.0.0.1",
    )
    return tuple(dict.fromkeys((*usual, *more)))


class Identity:
    """Makes and renews the certificates; `tls` is what the gRPC server goes by."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        *,
        clock: Clock,
        names: Sequence[str] = (),
        lives: Lives | None = None,
        connection_age_s: float = 3600.0,
        period_s: float = _PERIOD_S,
    ) -> None:
        """`names`: host names and addresses of the operator, besides the usual ones. `period_s`: how often it looks."""
        self.tls = ServerTls(client=router_identity(namespace), connection_age_s=connection_age_s)
        self._api, self._namespace, self._clock = api, namespace, clock
        self._names = service_names(namespace, names)
        self._lives = lives or Lives()
        self._period_s = period_s
        self._shown: Signed | None = None
        self._used: tuple[Signed, bytes] | None = None
        self._fault = "not there yet"
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once there is something to show. Raises ApiError when waiting does not help."""
        while True:
            try:
                await self.tend()
                break
            except Unavailable as error:
                log.warning("certificates for routers: %s", error)
                await asyncio.sleep(_AGAIN_S)
        self._task = asyncio.create_task(self._run(), name="certificates")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def described(self) -> str:
        """For people: until when the certificates are valid, or what is wrong."""
        if self._fault or self._shown is None:
            return self._fault
        return f"valid until {rfc3339(self._shown.until_s())}"

    async def tend(self) -> None:
        """Bring Secrets and server to what they should be now; writes nothing when they are. Raises ApiError."""
        for _ in range(_ATTEMPTS):
            try:
                trust = await self._authority()
                await self._router(trust)
                self._show(trust)
            except Conflict:  # somebody else was faster
                continue
            self._fault = ""
            return
        raise Unavailable(f"others write {CA_SECRET} or {ROUTER_SECRET} all the time")

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            try:
                await self.tend()
            except ApiError as error:
                self._fault = str(error)
                log.error("certificates for routers stay as they are: %s", error)

    async def _authority(self) -> Trust:
        now_s = self._clock()
        secret = await self._read(CA_SECRET)
        if secret is None:
            trust = Trust.new(now_s, self._lives)
            await self._create(CA_SECRET, _authority_data(trust), _annotations(trust))
            log.info("made a certificate authority for routers: Secret %s/%s", self._namespace, CA_SECRET)
            return trust
        trust = _trust(secret, f"Secret {self._namespace}/{CA_SECRET}")
        wanted = ROTATE_ANNOTATION in secret["metadata"].get("annotations", {})
        following = trust.after(now_s, self._lives, wanted=wanted)
        if following is not trust:
            await self._write(secret, _authority_data(following), _annotations(following))
            log.info("certificate authority for routers: %s", _stage(following))
        return following

    async def _router(self, trust: Trust) -> None:
        secret = await self._read(ROUTER_SECRET)
        data = {} if secret is None else _data(secret)
        leaf = Signed(data.get("tls.crt", b""), data.get("tls.key", b""))
        now_s, names = self._clock(), [router_identity(self._namespace)]
        if not trust.sound(leaf, names, now_s, self._lives):
            leaf = trust.for_router(self._namespace, now_s, self._lives)
        wanted = {"ca.crt": trust.bundle, "tls.crt": leaf.certificate, "tls.key": leaf.key}
        if secret is None:
            await self._create(ROUTER_SECRET, wanted, {})
        elif data != wanted:
            await self._write(secret, wanted, {})
            log.info("renewed what routers show and trust: Secret %s/%s", self._namespace, ROUTER_SECRET)

    def _show(self, trust: Trust) -> None:
        now_s = self._clock()
        if self._shown is None or not trust.sound(self._shown, self._names, now_s, self._lives):
            self._shown = trust.for_server(self._names, now_s, self._lives)
        if self._used != (self._shown, trust.bundle):
            self._used = self._shown, trust.bundle
            self.tls.use(*self._used)

    async def _read(self, name: str) -> Object | None:
        try:
            return await self._api.get(paths.secrets(self._namespace, name))
        except NotFound:
            return None

    async def _create(
        self, name: str, data: Mapping[str, bytes], annotations: Mapping[str, str | None]
    ) -> None:
        metadata = {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "millpond"},
            "annotations": annotations,
        }
        body = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata}
        await self._api.create(paths.secrets(self._namespace), {**body, "data": _encoded(data)})

    async def _write(
        self, secret: Object, data: Mapping[str, bytes], annotations: Mapping[str, str | None]
    ) -> None:
        """Exactly these data. Conflict when somebody else has written since `secret` was read."""
        gone = dict.fromkeys((secret.get("data") or {}).keys() - data.keys())
        version = secret["metadata"]["resourceVersion"]
        body: Object = {
            "metadata": {"resourceVersion": version, "annotations": dict(annotations)},
            "data": {**_encoded(data), **gone},
        }
        await self._api.patch(paths.secrets(self._namespace, secret["metadata"]["name"]), body)


def _trust(secret: Object, what: str) -> Trust:
    """Raises Invalid with a sentence."""
    try:
        found = _data(secret)
        coming = Signed(found["coming.crt"], found["coming.key"]) if "coming.crt" in found else None
        since_s = from_rfc3339(secret["metadata"]["annotations"][SINCE_ANNOTATION])
        signing = Signed(found["tls.crt"], found["tls.key"])
        trust = Trust(signing=signing, since_s=since_s, coming=coming, gone=found.get("gone.crt"))
        trust.check()
    except (ValueError, KeyError) as error:
        wrong = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        advice = "restore it, or delete it for a new authority"
        raise Invalid(f"{what} is damaged: {wrong}; {advice}") from error
    return trust


def _authority_data(trust: Trust) -> Mapping[str, bytes]:
    found = {"tls.crt": trust.signing.certificate, "tls.key": trust.signing.key}
    if trust.coming is not None:
        found |= {"coming.crt": trust.coming.certificate, "coming.key": trust.coming.key}
    return found if trust.gone is None else {**found, "gone.crt": trust.gone}


def _annotations(trust: Trust) -> Mapping[str, str | None]:
    """A wish for a new authority ends with its coming."""
    wish = {ROTATE_ANNOTATION: None} if trust.coming is not None else {}
    return {SINCE_ANNOTATION: rfc3339(trust.since_s), **wish}


def _stage(trust: Trust) -> str:
    if trust.coming is not None:
        return "a new one was announced"
    return "the new one signs now" if trust.gone is not None else "the old one is not trusted any more"


def _data(secret: Object) -> dict[str, bytes]:
    """Raises ValueError with a sentence."""
    try:
        found = secret.get("data") or {}
        return {key: base64.b64decode(value, validate=True) for key, value in found.items()}
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error


def _encoded(data: Mapping[str, bytes]) -> dict[str, str | None]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}
