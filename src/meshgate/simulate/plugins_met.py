"""What the smaller plugins of an edge route say to a request; see `policies_met`.

What depends on the client's address or on a body, which nobody names to `explain`, is told
and not decided.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from meshgate.model.consumer import Consumer
from meshgate.model.gateway import HTTPS_PORT
from meshgate.model.policies.bridged import BRIDGED
from meshgate.model.policies.grpc import ProtoConfigMap, ProtoFile, ProtoReflection
from meshgate.model.policies.logs import LOGS
from meshgate.model.policy import (
    Acl,
    Acme,
    BasicAuth,
    BotDetection,
    Buffering,
    CorrelationId,
    CrossOrigin,
    ExternalAuth,
    GrpcGateway,
    GrpcWeb,
    HttpsOnly,
    IpRestriction,
    OnlyVia,
    OpenTelemetry,
    Policy,
    PostFunction,
    PreFunction,
    Prometheus,
    ProxyCache,
    Redirection,
    RequestSize,
    RequestTransformer,
    ResponseRateLimit,
    ResponseTransformer,
    Termination,
    Zipkin,
)
from meshgate.policies import (
    acl,
    basic_auth,
    bot_detection,
    buffering,
    correlation_id,
    cors,
    external_auth,
    functions,
    grpc_json,
    grpc_web,
    https_only,
    ip_restriction,
    late,
    only_via,
    proxy_cache,
    redirect,
    request_size,
    request_termination,
    response_rate_limit,
    transformers,
)
from meshgate.simulate import transformed
from meshgate.simulate.bridged_met import bridged_met
from meshgate.simulate.logged_met import logged_met, traced_met
from meshgate.simulate.strings import parameters, string_matches
from meshgate.simulate.verdict import PolicyMet
from meshgate.translate.names import split_authority


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that policies look at, and who could have sent it."""

    headers: Mapping[str, str]
    consumers: Sequence[Consumer] = ()
    https_port: int = 0
    """Where the gateway serves HTTPS; 0 for nowhere."""


def plugin_met(
    policy: Policy, on: Collection[str], so_far: Sequence[PolicyMet], asked: Asked
) -> PolicyMet | None:
    """The plugin's part in the request; None where the route's filters `on` do not hold it."""
    consumers, headers = asked.consumers, asked.headers
    match policy:
        case HttpsOnly() if https_only.FILTER in on:
            return _https_only(policy, asked)
        case OnlyVia() if only_via.FILTER in on:
            refused = policy.grpc and not headers.get("content-type", "").startswith("application/grpc")
            parts = ["gRPC alone gets in"] if policy.grpc else []
            parts += [f"TLS for {', '.join(policy.server_names)} only"] if policy.server_names else []
            return PolicyMet(
                kind="protocols", says="; ".join(parts), origin=policy.origin, refuses=415 if refused else 0
            )
        case BasicAuth() if basic_auth.FILTER in on:
            return _basic(policy, consumers, headers)
        case BasicAuth() if policy.anonymous:
            return optional(policy.anonymous, _basic(policy, consumers, headers), so_far)
        case policy if isinstance(policy, BRIDGED):
            met = bridged_met(policy, on, headers)
            return optional(policy.anonymous, met, so_far) if met and policy.anonymous else met
        case Acme():
            return PolicyMet(kind="acme", says="its host gets a certificate", origin=policy.origin)
        case Prometheus():
            return PolicyMet(kind="prometheus", says="is counted", origin=policy.origin)
        case policy if isinstance(policy, LOGS):
            return logged_met(policy, on)
        case Zipkin() | OpenTelemetry():
            return traced_met(policy, on)
        case Acl() if acl.FILTER in on:
            return _acl(policy, consumers, so_far)
        case Termination() if {request_termination.FILTER, request_termination.ECHO_FILTER} & set(on):
            return _termination(policy, headers)
        case Redirection() if redirect.FILTER in on:
            says = f"sends it to {policy.location}{' and its own path' if policy.keep_path else ''}"
            location = policy.location + (headers[":path"] if policy.keep_path else "")
            return PolicyMet(
                kind="redirect", says=says, origin=policy.origin, refuses=policy.status, location=location
            )
        case BotDetection() if bot_detection.FILTER in on:
            return _bots(policy, headers.get("user-agent", ""))
        case _:
            told = _told(policy, on)
            return PolicyMet(kind=told[0], says=told[1], origin=policy.origin) if told else None


def optional(stranger: str, asked: PolicyMet, so_far: Sequence[PolicyMet]) -> PolicyMet:
    """What becomes of a way in that is one of several: strangers go on as one consumer."""
    if any(met.consumer not in ("", stranger) for met in so_far):
        says = f"{asked.says}; not asked for, since it is known who asks"
        return replace(asked, says=says, refuses=0, consumer="")
    if not asked.refuses:
        return asked
    says = f"{asked.says}, so this is {stranger}"
    return replace(asked, says=says, refuses=0, consumer=stranger, stranger=True)


def _told(policy: Policy, on: Collection[str]) -> tuple[str, str] | None:
    """(plugin, what it does) of those that decide nothing that is known here."""
    match policy:
        case ExternalAuth() if external_auth.filter_name(policy) in on:
            how = "by gRPC" if policy.grpc else "over HTTP"
            return "ExternalAuth", f"{policy.host}:{policy.port} is asked {how}; what, is not known here"
        case IpRestriction() if ip_restriction.FILTER in on:
            parts = [f"not from {', '.join(policy.deny)}"] if policy.deny else []
            parts += [f"only from {', '.join(policy.allow)}"] if policy.allow else []
            return "ip-restriction", f"{' and '.join(parts)}; else {policy.status}"
        case RequestSize() if request_size.FILTER in on:
            return "request-size-limiting", f"413 for bodies of more than {policy.max_body_bytes} bytes"
        case CrossOrigin() if cors.HEADERS_FILTER in on:
            whom = "any origin" if policy.any_origin else policy.fixed_origin or ", ".join(policy.origins)
            return "cors", f"browsers let {whom} read the answer"
        case CorrelationId() if {correlation_id.FILTER, late.CORRELATION_FILTER} & set(on):
            return "correlation-id", f"header {policy.header_name} names the request"
        case RequestTransformer() if {transformers.REQUEST_FILTER, transformers.REQUEST_SCRIPT} & set(on):
            return "request-transformer", f"{transformed.in_words(policy)} on its way to the service"
        case ResponseRateLimit() if response_rate_limit.FILTER in on:
            names = ", ".join(limit.name for limit in policy.limits)
            return "response-ratelimiting", f"counts what answers say that they cost: {names}; 429 beyond"
        case ResponseTransformer() if {transformers.RESPONSE_FILTER, transformers.LATE_RESPONSE_FILTER} & set(
            on
        ):
            return "response-transformer", f"{transformed.in_words(policy)} in the answer"
        case PreFunction() if functions.Place.FIRST.value in on:
            return "pre-function", "runs Lua of the manifest, which nobody but Envoy runs"
        case PostFunction() if functions.Place.FIRST.value in on:
            return "post-function", "runs Lua of the manifest, which nobody but Envoy runs"
        case GrpcGateway() if grpc_json.HEADERS_FILTER in on:
            return "grpc-gateway", f"makes gRPC of JSON as {_description(policy)} says, and answers OPTIONS"
        case ProxyCache() if proxy_cache.FILTER in on:
            how_long = "as RFC 9111 has it" if policy.cache_control else f"for {policy.ttl_s} s"
            return "proxy-cache", f"answers are kept {how_long}, and given again"
        case Buffering() if buffering.FILTER in on:
            parts = ["requests"] if policy.requests else []
            parts += ["answers"] if policy.responses else []
            return "buffering", f"bodies of {' and '.join(parts)} are held back until they are whole"
        case GrpcWeb() if grpc_web.HEADERS_FILTER in on:
            return "grpc-web", "makes gRPC of gRPC-Web, and answers OPTIONS"
        case _:
            return None


def _description(policy: GrpcGateway) -> str:
    match policy.transcoding.source:
        case ProtoFile(path=path):
            return path
        case ProtoConfigMap(namespace=namespace, name=name):
            return f"ConfigMap {namespace}/{name}"
        case ProtoReflection(host=host):
            return f"{host} itself"


def _basic(policy: BasicAuth, consumers: Sequence[Consumer], headers: Mapping[str, str]) -> PolicyMet:
    kind, says = "basic-auth", "a username and a password are needed in header authorization"
    given = headers.get("proxy-authorization") or headers.get("authorization", "")
    scheme, _, encoded = given.partition(" ")
    if scheme.lower() != "basic":
        return PolicyMet(kind=kind, says=f"{says}; there is none", origin=policy.origin, refuses=401)
    try:
        username, _, password = base64.b64decode(encoded, validate=True).partition(b":")
    except binascii.Error:
        username, password = b"", b""
    for consumer in consumers:
        for known in consumer.basic:
            if known.username.encode() == username and known.password.reveal() == password:
                name = consumer.username or consumer.custom_id
                return PolicyMet(kind=kind, says=says, origin=policy.origin, consumer=name)
    return PolicyMet(kind=kind, says=f"{says}; these are nobody's", origin=policy.origin, refuses=401)


def _acl(policy: Acl, consumers: Sequence[Consumer], so_far: Sequence[PolicyMet]) -> PolicyMet:
    kind, groups = "acl", ", ".join(policy.groups)
    says = f"members of {groups} are refused" if policy.deny else f"only members of {groups} get in"
    known = [met for met in so_far if met.consumer]
    if not known:
        return PolicyMet(kind=kind, says=f"{says}; who asks is not known", origin=policy.origin, refuses=401)
    caller = next((c for c in consumers if known[-1].consumer in (c.username, c.custom_id)), None)
    its = (
        (caller.groups + (caller.consumer_groups if policy.include_consumer_groups else ())) if caller else ()
    )
    member = not set(policy.groups).isdisjoint(its)
    doubtful = policy.deny and caller is not None and not caller.all_groups_known
    if known[-1].stranger and not policy.deny and not (caller and (caller.groups or caller.consumer_groups)):
        says += "; who stands for strangers is in no group"
        return PolicyMet(kind=kind, says=says, origin=policy.origin, refuses=401)
    refused = doubtful or member is policy.deny
    return PolicyMet(kind=kind, says=says, origin=policy.origin, refuses=403 if refused else 0)


def _https_only(policy: HttpsOnly, asked: Asked) -> PolicyMet:
    says = f"plain HTTP gets {policy.status}"
    if asked.headers[":scheme"] == "https":
        return PolicyMet(kind="protocols", says=says, origin=policy.origin)
    location = ""
    if policy.status != https_only.UPGRADE_REQUIRED:
        port = "" if asked.https_port in (0, HTTPS_PORT) else f":{asked.https_port}"
        host = split_authority(asked.headers[":authority"])[0]
        location = f"https://{host}{port}{asked.headers[':path']}"
    return PolicyMet(
        kind="protocols", says=says, origin=policy.origin, refuses=policy.status, location=location
    )


def _bots(policy: BotDetection, agent: str) -> PolicyMet:
    is_bot = any(string_matches(m.string_match, agent) for m in bot_detection.refused_agents(policy))
    is_welcome = any(string_matches(m.string_match, agent) for m in bot_detection.welcome_agents(policy))
    says = "robots, told by their User-Agent, get 403"
    refused = bool(agent) and is_bot and not is_welcome
    return PolicyMet(
        kind="bot-detection",
        says=f"{says}; this is one" if refused else says,
        origin=policy.origin,
        refuses=403 if refused else 0,
    )


def _termination(policy: Termination, headers: Mapping[str, str]) -> PolicyMet:
    kind, says = "request-termination", f"the gateway answers {policy.status} by itself"
    if policy.trigger:
        says += f" where there is a header or query parameter {policy.trigger}"
        if policy.trigger.lower() not in headers and policy.trigger not in parameters(headers[":path"]):
            return PolicyMet(kind=kind, says=f"{says}; there is none", origin=policy.origin)
    return PolicyMet(kind=kind, says=says, origin=policy.origin, refuses=policy.status)
