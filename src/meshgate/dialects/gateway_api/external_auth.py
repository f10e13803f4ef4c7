"""The filter ExternalAuth: whom to ask, in which protocol, and what it is shown."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.references import BackendObjectSpec, lower_backend
from meshgate.dialects.schema import Items, Spec, fault, problem
from meshgate.model.gateway_api_routes import ExternalAuthFilter

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")


def _header(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise fault("MG2004", "must be a header name")
    return text.lower()


def _prefix(text: str) -> str:
    if text and not _PATH.fullmatch(text):
        raise fault("MG2002", "must be a path")
    if text and (not text.startswith("/") or "/../" in f"{text}/" or "//" in text):
        raise fault("MG2002", "must begin with a slash, and have no `..` and no empty elements")
    return text.rstrip("/")


HeaderNames = Annotated[Items[Annotated[str, AfterValidator(_header)]], Field(max_length=64)]


class GrpcAuthSpec(Spec):
    """`GRPCAuthConfig`."""

    allowed_headers: HeaderNames = ()


class HttpAuthSpec(Spec):
    """`HTTPAuthConfig`."""

    path: Annotated[str, Field(max_length=1024), AfterValidator(_prefix)] = ""
    allowed_headers: HeaderNames = ()
    allowed_response_headers: HeaderNames = ()


class ForwardBodySpec(Spec):
    """`ForwardBodyConfig`."""

    max_size: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class ExternalAuthSpec(Spec):
    """`HTTPExternalAuthFilter`."""

    protocol: Literal["HTTP", "GRPC"]
    backend_ref: BackendObjectSpec
    grpc: GrpcAuthSpec | None = None
    http: HttpAuthSpec | None = None
    forward_body: ForwardBodySpec = ForwardBodySpec()


def lower_external_auth(
    spec: ExternalAuthSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> ExternalAuthFilter:
    """The filter; settings of the protocol that is not spoken are MG2006."""
    for protocol, other in (("GRPC", spec.http), ("HTTP", spec.grpc)):
        if spec.protocol == protocol and other is not None:
            field = "http" if protocol == "GRPC" else "grpc"
            said.append(problem(document, "MG2006", (*path, field), f"has no place with {protocol}"))
    http = spec.http or HttpAuthSpec()
    shown = (spec.grpc or GrpcAuthSpec()).allowed_headers if spec.protocol == "GRPC" else http.allowed_headers
    return ExternalAuthFilter(
        backend=lower_backend(spec.backend_ref, document, (*path, "backendRef")),
        grpc=spec.protocol == "GRPC",
        path_prefix=http.path,
        request_headers=tuple(dict.fromkeys(shown)),
        response_headers=tuple(dict.fromkeys(http.allowed_response_headers)),
        max_body_bytes=spec.forward_body.max_size,
        origin=document.locate(path),
    )
