"""KongUpstreamPolicy (v1beta1, KIC 3.5): how the gateway chooses and checks a Service's endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kong.upstream_checks import HealthChecksSpec, lower_active, lower_passive
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check, problem
from meshgate.model.declared import Declared
from meshgate.model.destination import Balance, ConsistentHash, LoadBalancer
from meshgate.model.names import Name
from meshgate.model.upstream import UpstreamPolicy

_SLOTS = 10_000
"""Kong's default."""


class HashSpec(Spec):
    """What a request is told by; at most one of the fields."""

    input: Literal["none", "consumer", "ip", "path", ""] = ""
    header: str = ""
    cookie: str = ""
    cookie_path: str = ""
    query_arg: str = ""
    uri_capture: str = ""


class StickySpec(Spec):
    cookie: Annotated[str, Field(min_length=1)]
    cookie_path: str = "/"


class UpstreamSpec(Spec):
    algorithm: Literal[
        "round-robin", "consistent-hashing", "least-connections", "latency", "sticky-sessions"
    ] = "round-robin"
    slots: Annotated[int, Field(ge=10, le=65536)] = _SLOTS
    hash_on: HashSpec | None = None
    hash_on_fallback: HashSpec | None = None
    healthchecks: HealthChecksSpec = HealthChecksSpec()
    sticky_sessions: StickySpec | None = None


class KongUpstreamPolicy(ObjectSpec):
    IGNORED: ClassVar[Mapping[str, str]] = {"status": "is written by Kong's own controller"}

    spec: UpstreamSpec = UpstreamSpec()


def lower_kong_upstream_policy(document: Document) -> Lowered:
    """What holds for the Services that name it (MG1103, MG2006)."""
    value, said = check(KongUpstreamPolicy, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    spec, reader = value.spec, _Reader(document, said)
    policy = UpstreamPolicy(
        ref=document.ref,
        name=Name(document.namespace, document.ref.name),
        balancer=reader.balancer(spec),
        outliers=lower_passive(spec.healthchecks, document, said),
        check=lower_active(spec.healthchecks, document, said),
        least_healthy_percent=reader.threshold(spec),
        origin=document.locate(),
    )
    return Lowered(declared=Declared(upstream_policies=(policy,)), diagnostics=tuple(said))


class _Reader:
    def __init__(self, document: Document, said: list[Diagnostic]) -> None:
        self._document, self._said = document, said

    def balancer(self, spec: UpstreamSpec) -> LoadBalancer:
        """How an endpoint is chosen."""
        match spec.algorithm:
            case "round-robin":
                self._needless(spec)
                return LoadBalancer(simple=Balance.ROUND_ROBIN)
            case "least-connections":
                self._needless(spec)
                return LoadBalancer(simple=Balance.LEAST_REQUEST)
            case "latency":
                self._needless(spec)
                message = "requests go to the endpoint with the fewest under way: Envoy measures no latency"
                self._warn(("spec", "algorithm"), message)
                return LoadBalancer(simple=Balance.LEAST_REQUEST)
            case "sticky-sessions":
                return LoadBalancer(hash=self._sticky(spec))
            case _:
                return LoadBalancer(hash=self._hashed(spec))

    def threshold(self, spec: UpstreamSpec) -> float:
        """The share of endpoints that must be well."""
        threshold = spec.healthchecks.threshold
        if threshold and spec.algorithm in ("consistent-hashing", "sticky-sessions"):
            message = f"the endpoints that are left serve with {spec.algorithm}, however few they are"
            self._warn(("spec", "healthchecks", "threshold"), message)
            return 0
        return threshold

    def _sticky(self, spec: UpstreamSpec) -> ConsistentHash | None:
        sticky = spec.sticky_sessions
        if sticky is None:
            self._error("MG2003", ("spec", "stickySessions"), "is required with sticky-sessions")
            return None
        return ConsistentHash(
            cookie=sticky.cookie,
            cookie_path=sticky.cookie_path,
            cookie_ttl_ms=0,
            minimum_ring_size=spec.slots,
        )

    def _hashed(self, spec: UpstreamSpec) -> ConsistentHash | None:
        path: FieldPath = ("spec", "hashOn")
        if spec.hash_on is None:
            self._error("MG2003", path, "is required with consistent-hashing")
            return None
        first = self._key(spec.hash_on, path, spec.slots)
        if spec.hash_on_fallback is None or first is None:
            return first
        at: FieldPath = ("spec", "hashOnFallback")
        if spec.hash_on.cookie:
            self._error("MG2006", at, "has no place beside hashOn.cookie, which every request gets")
            return None
        second = self._key(spec.hash_on_fallback, at, spec.slots)
        return ConsistentHash(
            header=first.header,
            source_ip=first.source_ip,
            query_parameter=first.query_parameter,
            path=first.path,
            capture=first.capture,
            fallback=second,
            minimum_ring_size=spec.slots,
        )

    def _key(self, spec: HashSpec, path: FieldPath, slots: int) -> ConsistentHash | None:
        given = [n for n in ("input", "header", "cookie", "query_arg", "uri_capture") if getattr(spec, n)]
        if len(given) > 1:
            self._error("MG2006", path, f"must have one of its fields, got {' and '.join(given)}")
            return None
        if spec.cookie:
            place = spec.cookie_path or "/"
            return ConsistentHash(
                cookie=spec.cookie, cookie_path=place, cookie_ttl_ms=0, minimum_ring_size=slots
            )
        if spec.header:
            return ConsistentHash(header=spec.header.lower(), minimum_ring_size=slots)
        if spec.query_arg:
            return ConsistentHash(query_parameter=spec.query_arg, minimum_ring_size=slots)
        if spec.uri_capture:
            return ConsistentHash(capture=spec.uri_capture, minimum_ring_size=slots)
        match spec.input:
            case "ip":
                return ConsistentHash(source_ip=True, minimum_ring_size=slots)
            case "consumer":
                return ConsistentHash(header="x-consumer-id", minimum_ring_size=slots)
            case "path":
                return ConsistentHash(path=True, minimum_ring_size=slots)
            case _:
                return None

    def _needless(self, spec: UpstreamSpec) -> None:
        for field, value in (("hashOn", spec.hash_on), ("hashOnFallback", spec.hash_on_fallback)):
            if value is not None:
                self._error("MG2006", ("spec", field), "has a place with consistent-hashing only")
        if spec.sticky_sessions is not None:
            self._error("MG2006", ("spec", "stickySessions"), "has a place with sticky-sessions only")

    def _warn(self, path: FieldPath, message: str) -> None:
        self._said.append(problem(self._document, "MG1103", path, message, severity=Severity.WARNING))

    def _error(self, code: str, path: FieldPath, message: str) -> None:
        self._said.append(problem(self._document, code, path, message))


KONG_UPSTREAM_POLICY = KindParser(
    group="configuration.konghq.com",
    kind="KongUpstreamPolicy",
    versions=frozenset({"v1beta1"}),
    namespaced=True,
    lower=lower_kong_upstream_policy,
    plural="kongupstreampolicies",
    short_names=("kup",),
)
