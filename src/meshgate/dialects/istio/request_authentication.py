"""RequestAuthentication: whose tokens are checked, and what a good one tells the service.

Fields and rules follow Istio 1.27. A rule that cannot be honoured closes its workloads
(MG1104), for with tokens unchecked the claims of strangers would be believed.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

from meshgate.core.diagnostics import Diagnostic, Severity, has_errors
from meshgate.core.origin import FieldPath
from meshgate.core.secret import Secret
from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.istio.durations import AtLeast1Ms
from meshgate.dialects.istio.jwks import usable_keys
from meshgate.dialects.istio.workload_scope import ScopedSpec, closing, report_targets, selected, targets
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, SecretText, Spec, check, fault, problem
from meshgate.model.authorization import JwtRule, RemoteKeys, RequestAuthentication
from meshgate.model.declared import Declared

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_RESERVED = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "authorization", "cookie"}
)
DEFAULT_TIMEOUT_MS = 5000.0
"""Istio's."""


def _header_name(text: str) -> str:
    if _TOKEN.fullmatch(text) is None:
        raise fault("MG2004", "must be the name of a header")
    return text


def _output_header(text: str) -> str:
    if _header_name(text).lower() in _RESERVED:
        raise fault("MG2004", "must be a header that does not steer the request itself")
    return text


def _filled(text: str) -> str:
    if not text or any(ord(c) < 32 for c in text):
        raise fault("MG2002", "must not be empty and not have control characters")
    return text


HeaderName = Annotated[str, AfterValidator(_header_name)]
OutputHeader = Annotated[str, AfterValidator(_output_header)]
Filled = Annotated[str, AfterValidator(_filled)]


class JwtHeaderSpec(Spec):
    """Istio's `JWTHeader`."""

    name: HeaderName
    prefix: str = ""


class ClaimToHeaderSpec(Spec):
    """Istio's `ClaimToHeader`."""

    header: OutputHeader
    claim: Filled


class JwtRuleSpec(Spec):
    """Istio's `JWTRule`."""

    issuer: Filled
    audiences: Items[Filled] = ()
    jwks_uri: str = ""
    jwks: SecretText | None = None
    from_headers: Items[JwtHeaderSpec] = ()
    from_params: Items[Filled] = ()
    from_cookies: Items[Filled] = ()
    output_payload_to_header: OutputHeader | None = None
    forward_original_token: bool = False
    output_claim_to_headers: Items[ClaimToHeaderSpec] = ()
    timeout: AtLeast1Ms = DEFAULT_TIMEOUT_MS
    space_delimited_claims: Items[Filled] = ()


class RequestAuthenticationSpec(ScopedSpec):
    """Istio 1.27's fields."""

    jwt_rules: Items[JwtRuleSpec] = ()


class RequestAuthenticationObject(ObjectSpec):
    spec: RequestAuthenticationSpec = RequestAuthenticationSpec()


def lower_request_authentication(document: Document) -> Lowered:
    """One policy; with errors (MG1102, MG1104, MG2001 to MG2006) one that lets nothing in."""
    value, said = check(RequestAuthenticationObject, document)
    rules: tuple[JwtRule, ...] = ()
    if value is not None:
        report_targets(value.spec, document, said)
        listed = enumerate(value.spec.jwt_rules)
        rules = tuple(_rule(rule, ("spec", "jwtRules", i), document, said) for i, rule in listed)
    closed = closing(document, said) if has_errors(said) else ""
    policy = RequestAuthentication(
        ref=document.ref,
        namespace=document.namespace,
        selector=selected(document),
        targets=targets(document),
        rules=() if closed else rules,
        closed=closed,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(request_authentications=(policy,)), diagnostics=tuple(said), keep=True)


def _rule(spec: JwtRuleSpec, path: FieldPath, document: Document, said: list[Diagnostic]) -> JwtRule:
    def error(code: str, field: str, message: str, remedy: str = "") -> None:
        said.append(problem(document, code, (*path, field), message, remedy=remedy, key=True))

    remote: RemoteKeys | None = None
    keys: Secret | None = None
    if spec.jwks is not None and spec.jwks_uri:
        error("MG2006", "jwks", "cannot be set together with jwksUri")
    elif spec.jwks is not None:
        keys, useless = usable_keys(spec.jwks)
        if keys is None:
            error("MG2002", "jwks", "must be a JSON Web Key Set with a key that can verify (it is not shown)")
        elif useless:
            text = f"{useless} of its keys cannot verify signatures; they are left out"
            here = (*path, "jwks")
            said.append(problem(document, "MG1103", here, text, severity=Severity.WARNING, key=True))
    elif spec.jwks_uri:
        remote = _remote(spec.jwks_uri)
        if remote is None:
            error("MG2002", "jwksUri", "must be an http or https URL of a host")
    else:
        error(
            "MG1104",
            "issuer",
            "keys are not looked up by the issuer's OpenID discovery",
            "write jwksUri (or jwks): the discovery document of the issuer has it as jwks_uri",
        )
    if len({header.header.lower() for header in spec.output_claim_to_headers}) < len(
        spec.output_claim_to_headers
    ):
        error("MG2006", "outputClaimToHeaders", "must name every header once")
    return JwtRule(
        issuer=spec.issuer,
        audiences=spec.audiences,
        jwks=keys,
        remote=remote,
        from_headers=tuple((h.name, h.prefix) for h in spec.from_headers),
        from_params=spec.from_params,
        from_cookies=spec.from_cookies,
        forward=spec.forward_original_token,
        payload_header=(spec.output_payload_to_header or "").lower(),
        claim_headers=tuple((h.header.lower(), h.claim) for h in spec.output_claim_to_headers),
        timeout_ms=spec.timeout,
        space_delimited=spec.space_delimited_claims,
    )


def _remote(text: str) -> RemoteKeys | None:
    try:
        url: SplitResult = urlsplit(text)
        port = url.port
    except ValueError:
        return None
    host = (url.hostname or "").rstrip(".")
    strange = not text.isascii() or any(c.isspace() or ord(c) < 32 for c in text) or url.username is not None
    if url.scheme not in ("http", "https") or strange or not is_dns_name(host):
        return None
    tls = url.scheme == "https"
    return RemoteKeys(url=text, host=host, port=port or (443 if tls else 80), tls=tls)


REQUEST_AUTHENTICATION = KindParser(
    group="security.istio.io",
    kind="RequestAuthentication",
    versions=frozenset({"v1beta1", "v1"}),
    namespaced=True,
    lower=lower_request_authentication,
    plural="requestauthentications",
    short_names=("ra",),
)
