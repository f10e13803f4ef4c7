"""Envoy's external authorization protocol (`envoy.service.auth.v3`, Envoy 1.40): bytes to values and back."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import attribute_context_pb2, external_auth_pb2
from google.rpc import code_pb2

from meshgate.bridge.request import Allow, Deny, Headers, Identity, Request
from meshgate.policies import captures, client_certificate, verdict_cache
from meshgate.policies.consumer_headers import (
    AUTHENTICATED_GROUPS,
    CONSUMER_ID,
    CREDENTIAL_ID,
    GROUP_NAMES,
    GROUPS,
    credential_groups,
    group_values,
    identity_values,
)

RULE = "rule"
"""Key of the context that a route gives: which rule of the configuration decides."""

_APPEND = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
_REPLACE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


def read(message: bytes) -> tuple[str, Request]:
    """The rule's id and the request. Raises `google.protobuf.message.DecodeError`."""
    check = external_auth_pb2.CheckRequest.FromString(message)
    attributes = check.attributes
    context = dict(attributes.context_extensions)
    http = attributes.request.http
    source = attributes.source.address.socket_address
    return context.pop(RULE, ""), Request(
        method=http.method,
        scheme=http.scheme,
        host=http.host,
        path=http.path,
        headers=_headers(http),
        body=http.raw_body or http.body.encode(),
        protocol=http.protocol,
        client_ip=source.address,
        client_port=source.port_value,
        gateway_port=attributes.destination.address.socket_address.port_value,
        peer_chain_pem=unquote(
            _noted(attributes, client_certificate.NAMESPACE).get(client_certificate.CHAIN, "")
        ),
        over_tls=_over_tls(attributes),
        captures=_noted(attributes, captures.NAMESPACE),
        about=context,
    )


def _over_tls(attributes: attribute_context_pb2.AttributeContext) -> bool:
    """Envoy 1.40 tells no scheme of a connection's own, but whom the gateway's certificate names there."""
    named = attributes.destination.principal or attributes.tls_session.sni
    return bool(named) or attributes.request.http.protocol == "HTTP/3"


def _noted(attributes: attribute_context_pb2.AttributeContext, namespace: str) -> Mapping[str, str]:
    """Texts that another filter has noted of the request."""
    noted = attributes.metadata_context.filter_metadata
    if namespace not in noted:
        return {}
    return {key: value.string_value for key, value in noted[namespace].fields.items()}


def _headers(http: attribute_context_pb2.AttributeContext.HttpRequest) -> Headers:
    return tuple(
        (entry.key.lower(), entry.raw_value.decode("latin-1") if entry.raw_value else entry.value)
        for entry in http.header_map.headers
    )


def known_id(request: Request) -> tuple[str, str]:
    """(consumer's id, credential) that Envoy's own filters have found; empty where they have not."""
    return request.header(CONSUMER_ID) or "", request.header(CREDENTIAL_ID) or ""


def allowed(verdict: Allow) -> bytes:
    """The request goes on, with its new headers."""
    answer = external_auth_pb2.CheckResponse()
    ok = answer.ok_response
    ok.SetInParent()
    identity = verdict.identity
    wanted: dict[str, str] = dict(verdict.set_headers)
    gone = list(verdict.remove_headers)
    if identity is not None:
        for name, value in _identity(identity).items():
            if value:
                wanted[name] = value
            else:
                gone.append(name)
    for name, value in wanted.items():
        ok.headers.append(_header(name, value, _REPLACE))
    ok.headers_to_remove.extend(name for name in dict.fromkeys(gone) if name not in wanted)
    ok.query_parameters_to_remove.extend(verdict.remove_parameters)
    for name, value in verdict.client_headers:
        ok.response_headers_to_add.append(_header(name, value, _APPEND))
    plain = all(text.isprintable() for text in wanted.values())
    if verdict.holds_until and plain and not verdict.client_headers and not verdict.remove_parameters:
        said = {
            "until": str(int(verdict.holds_until)),
            "set": [text for pair in wanted.items() for text in pair],
            "remove": list(ok.headers_to_remove),
        }
        answer.dynamic_metadata.update({verdict_cache.SAID: said})
    return bytes(answer.SerializeToString())


def _identity(identity: Identity) -> Mapping[str, str]:
    """Headers that say who it is; empty values are for headers that must go."""
    found = dict(identity_values(identity.consumer, identity.credential))
    if identity.groups is not None:
        found[AUTHENTICATED_GROUPS] = group_values(identity.groups)[GROUP_NAMES]
        if identity.consumer is None:
            found.update(group_values(identity.groups))
        else:
            found[GROUPS] += credential_groups(identity.groups)
    return found


def denied(verdict: Deny) -> bytes:
    """The client gets the verdict's answer."""
    answer = external_auth_pb2.CheckResponse()
    answer.status.code = code_pb2.UNAUTHENTICATED if verdict.status == 401 else code_pb2.PERMISSION_DENIED
    answer.denied_response.status.code = verdict.status  # the enum's numbers are HTTP's
    answer.denied_response.body = verdict.body
    for name, value in verdict.headers:
        answer.denied_response.headers.append(
            _header(name, value, _APPEND if name == "set-cookie" else _REPLACE)
        )
    return bytes(answer.SerializeToString())


def _header(
    name: str, value: str, action: base_pb2.HeaderValueOption.HeaderAppendAction.ValueType
) -> base_pb2.HeaderValueOption:
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=name, value=value), append_action=action
    )
