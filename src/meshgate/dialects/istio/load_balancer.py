"""`loadBalancer` of a traffic policy: which endpoint gets a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.consistent_hash import ConsistentHashSpec, lower_hash
from meshgate.dialects.istio.durations import AtLeast1Ms
from meshgate.dialects.istio.locality import LocalitySpec, check_locality
from meshgate.dialects.schema import Spec, problem
from meshgate.model.destination import Balance, LoadBalancer, Warmup


class WarmupSpec(Spec):
    """Istio's `WarmupConfiguration`."""

    duration: AtLeast1Ms
    minimum_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    aggression: Annotated[float, Field(ge=1)] | None = None


class LoadBalancerSpec(Spec):
    """Istio's `LoadBalancerSettings`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "zoneAwareLbSetting": "requests go by localityLbSetting alone",
    }

    simple: (
        Literal["UNSPECIFIED", "LEAST_CONN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN"] | None
    ) = None
    consistent_hash: ConsistentHashSpec | None = None
    locality_lb_setting: LocalitySpec | None = None
    warmup: WarmupSpec | None = None
    warmup_duration_secs: AtLeast1Ms | None = None


def lower_balancer(
    spec: LoadBalancerSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> LoadBalancer:
    """The balancer (MG1103, MG2002, MG2003, MG2004, MG2006, MG2007)."""
    if spec.simple not in (None, "UNSPECIFIED") and spec.consistent_hash:
        said.append(problem(document, "MG2006", path, "must have one of simple and consistentHash"))
    hashing, locality = spec.consistent_hash, spec.locality_lb_setting
    if locality is not None:
        said.extend(check_locality(locality, document, (*path, "localityLbSetting")))
    return LoadBalancer(
        simple=_simple(spec),
        hash=lower_hash(hashing, document, (*path, "consistentHash"), said) if hashing else None,
        locality=locality.lower() if locality is not None else None,
        warmup=_warmup(spec, document, path, said),
    )


def _simple(spec: LoadBalancerSpec) -> Balance | None:
    match spec.simple:
        case None | "UNSPECIFIED":
            return None
        case "LEAST_CONN":
            return Balance.LEAST_REQUEST  # the name that Istio used until 1.14
        case _:
            return Balance(spec.simple)


def _warmup(
    spec: LoadBalancerSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> Warmup | None:
    if spec.warmup is None and spec.warmup_duration_secs is None:
        return None
    name = "warmup" if spec.warmup else "warmupDurationSecs"
    by_itself = spec.consistent_hash is not None or spec.simple in ("RANDOM", "PASSTHROUGH")
    if by_itself:
        said.append(
            problem(
                document,
                "MG1103",
                (*path, name),
                "has no effect but with LEAST_REQUEST and ROUND_ROBIN",
                severity=Severity.WARNING,
                key=True,
            )
        )
    if spec.warmup_duration_secs is not None:
        said.append(
            problem(
                document,
                "MG2007",
                (*path, "warmupDurationSecs"),
                "warmupDurationSecs is deprecated",
                severity=Severity.WARNING,
                remedy="write warmup: {duration: ...}",
                key=True,
            )
        )
    if spec.warmup is None:
        assert spec.warmup_duration_secs is not None
        return Warmup(duration_ms=spec.warmup_duration_secs)
    return Warmup(
        duration_ms=spec.warmup.duration,
        minimum_percent=spec.warmup.minimum_percent,
        aggression=spec.warmup.aggression,
    )
