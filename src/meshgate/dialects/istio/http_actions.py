"""What a rule does with a request: `route`, `redirect`, `directResponse`, `rewrite`, `mirror`."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.faults import PercentSpec
from meshgate.dialects.istio.headers import HeadersSpec
from meshgate.dialects.istio.hosts import DestinationSpec, PortNumber
from meshgate.dialects.re2 import regex_problem, substitution_problem
from meshgate.dialects.schema import Spec, fault, problem, show
from meshgate.model.route import DirectResponse, Redirect, Rewrite

MAX_BODY_BYTES = 1024 * 1024
"""Of a direct response; Istio's limit."""


def _authority(text: str) -> str:
    if any(c.isspace() or ord(c) < 33 or c in "/?#@" for c in text):
        raise fault("MG2004", "must be a host name with an optional port")
    return text


def _uri(text: str) -> str:
    if any(ord(c) < 33 or c == "\x7f" for c in text):
        raise fault("MG2002", "must be a path without spaces or control characters")
    return text


Authority = Annotated[str, AfterValidator(_authority)]
Uri = Annotated[str, AfterValidator(_uri)]


class RouteDestinationSpec(Spec):
    """Istio's `HTTPRouteDestination`."""

    destination: DestinationSpec
    weight: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    headers: HeadersSpec = HeadersSpec()


class MirrorSpec(Spec):
    """Istio's `HTTPMirrorPolicy`."""

    destination: DestinationSpec
    percentage: PercentSpec | None = None


class RedirectSpec(Spec):
    """Istio's `HTTPRedirect`."""

    uri: Uri = ""
    prefix_rewrite: Uri = ""
    authority: Authority = ""
    scheme: Literal["", "http", "https"] = ""
    redirect_code: Literal[301, 302, 303, 307, 308] = 301
    port: PortNumber | None = None
    derive_port: Literal["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"] | None = None


class BodySpec(Spec):
    """Istio's `HTTPBody`."""

    string: str | None = None
    bytes_: str | None = Field(default=None, alias="bytes")


class DirectResponseSpec(Spec):
    """Istio's `HTTPDirectResponse`."""

    status: Annotated[int, Field(ge=200, le=599)]
    body: BodySpec | None = None


class RegexRewriteSpec(Spec):
    """Istio's `RegexRewrite`."""

    match: str
    rewrite: str = ""


class RewriteSpec(Spec):
    """Istio's `HTTPRewrite`."""

    uri: Uri | None = None
    authority: Authority = ""
    uri_regex_rewrite: RegexRewriteSpec | None = None


def lower_redirect(
    spec: RedirectSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> Redirect:
    """The redirect; `FROM_PROTOCOL_DEFAULT` is what Envoy does by itself."""
    if spec.port is not None and spec.derive_port is not None:
        said.append(problem(document, "MG2006", path, "must have one of port and derivePort"))
    if spec.uri and spec.prefix_rewrite:
        said.append(problem(document, "MG2006", path, "must have one of uri and prefixRewrite"))
    return Redirect(
        code=spec.redirect_code,
        path=spec.uri,
        prefix=spec.prefix_rewrite,
        authority=spec.authority,
        scheme=spec.scheme,
        port=spec.port or 0,
        derive_port=spec.derive_port == "FROM_REQUEST_PORT",
    )


def lower_direct_response(
    spec: DirectResponseSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> DirectResponse:
    """The answer; `body.bytes` is base64."""
    here = (*path, "body")
    body = b""
    if spec.body is not None:
        if (spec.body.string is None) == (spec.body.bytes_ is None):
            said.append(problem(document, "MG2006", here, "must have one of string and bytes"))
        try:
            body = (spec.body.string or "").encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write
            said.append(problem(document, "MG2002", (*here, "string"), "must be text that UTF-8 can hold"))
        if spec.body.bytes_ is not None:
            try:
                body = base64.b64decode(spec.body.bytes_, validate=True)
            except (binascii.Error, ValueError):
                said.append(problem(document, "MG2002", (*here, "bytes"), "must be base64"))
    if len(body) > MAX_BODY_BYTES:
        said.append(problem(document, "MG2002", here, f"must have at most {MAX_BODY_BYTES} bytes"))
    return DirectResponse(status=spec.status, body=body)


def lower_rewrite(spec: RewriteSpec, document: Document, path: FieldPath, said: list[Diagnostic]) -> Rewrite:
    """The rewrite; `uri` replaces what the rule's path match took."""
    regex = spec.uri_regex_rewrite
    if spec.uri is not None and regex is not None:
        said.append(problem(document, "MG2006", path, "must have one of uri and uriRegexRewrite"))
    if regex is not None:
        wrong = "must not be empty" if not regex.match else regex_problem(regex.match)
        if wrong:
            here = (*path, "uriRegexRewrite", "match")
            said.append(problem(document, "MG2002", here, f"{wrong}, got {show(regex.match)}"))
        elif wrong := substitution_problem(regex.match, regex.rewrite):
            here = (*path, "uriRegexRewrite", "rewrite")
            said.append(problem(document, "MG2002", here, f"{wrong}, got {show(regex.rewrite)}"))
    return Rewrite(
        prefix=spec.uri or None,
        path_regex=regex.match if regex else "",
        substitution=regex.rewrite if regex else "",
        authority=spec.authority,
    )
