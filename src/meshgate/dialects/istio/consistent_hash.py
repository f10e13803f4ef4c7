"""`loadBalancer.consistentHash`: the same client to the same endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.matching import HEADER_NAME
from meshgate.dialects.schema import DurationMs, Items, Spec, problem
from meshgate.model.destination import ConsistentHash

MAX_RING_SIZE = 8 * 1024 * 1024
"""Envoy's upper bound."""
MAX_TABLE_SIZE = 5_000_011
"""Envoy's upper bound of Maglev's table, a prime."""
DEFAULT_TABLE_SIZE = 65_537

RingSize = Annotated[int, Field(ge=0, le=MAX_RING_SIZE)]


class CookieAttributeSpec(Spec):
    """`SameSite: Strict`, or a name alone like `Secure`."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9_-]+$")]
    value: Annotated[str, Field(pattern=r"^[^;,\s]*$")] = ""


class HttpCookieSpec(Spec):
    """Istio's `HTTPCookie`; without `ttl` only cookies that clients bring count."""

    name: Annotated[str, Field(min_length=1)]
    path: str = ""
    ttl: DurationMs | None = None
    attributes: Items[CookieAttributeSpec] = ()


class RingHashSpec(Spec):
    minimum_ring_size: RingSize | None = None


class MaglevSpec(Spec):
    table_size: Annotated[int, Field(ge=2, le=MAX_TABLE_SIZE)] = DEFAULT_TABLE_SIZE


class ConsistentHashSpec(Spec):
    """Istio's `ConsistentHashLB`."""

    http_header_name: str | None = None
    http_cookie: HttpCookieSpec | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHashSpec | None = None
    maglev: MaglevSpec | None = None
    minimum_ring_size: RingSize | None = None

    KEYS: ClassVar[Mapping[str, str]] = {
        "httpHeaderName": "http_header_name",
        "httpCookie": "http_cookie",
        "useSourceIp": "use_source_ip",
        "httpQueryParameterName": "http_query_parameter_name",
    }
    """Of which exactly one says what is hashed: as written -> attribute."""


def lower_hash(
    spec: ConsistentHashSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> ConsistentHash:
    """The hash policy."""
    given = [written for written, attribute in spec.KEYS.items() if getattr(spec, attribute)]
    if len(given) != 1:
        code, found = ("MG2006", " and ".join(given)) if given else ("MG2003", "none")
        said.append(problem(document, code, path, f"must have one of {', '.join(spec.KEYS)}, got {found}"))
    if spec.http_header_name and not HEADER_NAME.fullmatch(spec.http_header_name):
        said.append(problem(document, "MG2004", (*path, "httpHeaderName"), "must be a header name"))
    if spec.ring_hash and spec.maglev:
        said.append(problem(document, "MG2006", path, "must have one of ringHash and maglev"))
    if spec.maglev and not _is_prime(spec.maglev.table_size):
        here = (*path, "maglev", "tableSize")
        said.append(
            problem(document, "MG2002", here, f"must be a prime number, got {spec.maglev.table_size}")
        )
    if spec.minimum_ring_size is not None:
        said.append(
            problem(
                document,
                "MG2007",
                (*path, "minimumRingSize"),
                "minimumRingSize is deprecated here",
                severity=Severity.WARNING,
                remedy=f"write ringHash: {{minimumRingSize: {spec.minimum_ring_size}}}",
            )
        )
    ring = spec.ring_hash.minimum_ring_size if spec.ring_hash else None
    ring = spec.minimum_ring_size if ring is None else ring
    cookie = spec.http_cookie
    return ConsistentHash(
        header=(spec.http_header_name or "").lower(),
        cookie=cookie.name if cookie else "",
        cookie_path=cookie.path if cookie else "",
        cookie_ttl_ms=cookie.ttl if cookie else None,
        cookie_attributes=tuple((a.name, a.value) for a in cookie.attributes) if cookie else (),
        source_ip=bool(spec.use_source_ip),
        query_parameter=spec.http_query_parameter_name or "",
        maglev_table_size=spec.maglev.table_size if spec.maglev else 0,
        minimum_ring_size=ring or ConsistentHash().minimum_ring_size,
    )


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))
