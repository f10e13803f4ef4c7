"""Somebody else decides who gets in: the Gateway API's `ExternalAuth`."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalAuth:
    """A Service is asked about each request, by Envoy's `ext_authz` protocol or in plain HTTP."""

    host: str
    """The Service's full name."""
    port: int
    grpc: bool
    path_prefix: str = ""
    """HTTP only: stands before the request's path."""
    request_headers: tuple[str, ...] = ()
    """Lower case. gRPC: those that are shown, all where it is empty; HTTP: those beside the usual ones."""
    response_headers: tuple[str, ...] = ()
    """HTTP only: those of its answer that go on to the backend; empty: all."""
    max_body_bytes: int = 0
    """Of the body that is shown; a longer one is refused with 413. 0: none is shown."""
    origin: Origin = BUILT_IN
