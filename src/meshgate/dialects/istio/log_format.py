"""Checks texts with Envoy's command operators (`%REQ(:PATH)%`): Envoy refuses a listener for a wrong one.

Operators of Envoy 1.40; those of extensions that are built in are there too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.schema import problem
from meshgate.dialects.wording import did_you_mean
from meshgate.model.mesh_config import LogFormat
from meshgate.model.service import EMPTY

_COMMAND = re.compile(r"%(?:%|([A-Z][A-Z0-9_]*)(?:\((.*?)\))?(:\d+)?%)", re.DOTALL)
_PLAIN_NAMES = """
    ACCESS_LOG_TYPE BYTES_RECEIVED BYTES_RETRANSMITTED BYTES_SENT CONNECTION_ID
    CONNECTION_TERMINATION_DETAILS CUSTOM_FLAGS DOWNSTREAM_DETECTED_CLOSE_TYPE DOWNSTREAM_DIRECT_LOCAL_ADDRESS
    DOWNSTREAM_DIRECT_REMOTE_ADDRESS DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT
    DOWNSTREAM_DIRECT_REMOTE_PORT DOWNSTREAM_HEADER_BYTES_RECEIVED DOWNSTREAM_HEADER_BYTES_SENT
    DOWNSTREAM_LOCAL_ADDRESS DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_LOCAL_CLOSE_REASON
    DOWNSTREAM_LOCAL_DNS_SAN DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_IP_SAN DOWNSTREAM_LOCAL_PORT
    DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_PEER_CERT DOWNSTREAM_PEER_CERT_V_END
    DOWNSTREAM_PEER_CERT_V_START DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_EMAIL_SAN
    DOWNSTREAM_PEER_FINGERPRINT_1 DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_IP_SAN
    DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_SUBJECT DOWNSTREAM_PEER_URI_SAN
    DOWNSTREAM_REMOTE_ADDRESS DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT DOWNSTREAM_REMOTE_PORT
    DOWNSTREAM_TLS_CIPHER DOWNSTREAM_TLS_SESSION_ID DOWNSTREAM_TLS_VERSION
    DOWNSTREAM_TRANSPORT_FAILURE_REASON DOWNSTREAM_WIRE_BYTES_RECEIVED DOWNSTREAM_WIRE_BYTES_SENT DURATION
    EMIT_TIME FILTER_CHAIN_NAME GRPC_STATUS GRPC_STATUS_NUMBER HOSTNAME LOCAL_REPLY_BODY PROTOCOL
    REQUEST_DURATION REQUEST_HEADERS_BYTES REQUEST_TX_DURATION REQUESTED_SERVER_NAME RESPONSE_CODE
    RESPONSE_CODE_DETAILS RESPONSE_DURATION RESPONSE_FLAGS RESPONSE_FLAGS_LONG RESPONSE_HEADERS_BYTES
    RESPONSE_TRAILERS_BYTES RESPONSE_TX_DURATION ROUNDTRIP_DURATION ROUTE_NAME SPAN_ID START_TIME
    START_TIME_LOCAL STREAM_ID TLS_JA3_FINGERPRINT TLS_JA4_FINGERPRINT TRACE_ID UNIQUE_ID UPSTREAM_CLUSTER
    UPSTREAM_CLUSTER_RAW UPSTREAM_CONNECTION_ID UPSTREAM_CONNECTION_POOL_READY_DURATION
    UPSTREAM_HEADER_BYTES_RECEIVED
    UPSTREAM_HEADER_BYTES_SENT UPSTREAM_HOST UPSTREAM_HOST_NAME UPSTREAM_HOST_NAME_WITHOUT_PORT
    UPSTREAM_HOSTS_ATTEMPTED UPSTREAM_LOCAL_ADDRESS UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT UPSTREAM_LOCAL_PORT
    UPSTREAM_LOCAL_URI_SAN UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN UPSTREAM_PEER_CERT
    UPSTREAM_PEER_CERT_V_END UPSTREAM_PEER_CERT_V_START UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN
    UPSTREAM_PEER_ISSUER UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_URI_SAN UPSTREAM_PROTOCOL
    UPSTREAM_REMOTE_ADDRESS UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT UPSTREAM_REMOTE_PORT
    UPSTREAM_REQUEST_ATTEMPT_COUNT UPSTREAM_TLS_CIPHER UPSTREAM_TLS_SESSION_ID UPSTREAM_TLS_VERSION
    UPSTREAM_TRANSPORT_FAILURE_REASON UPSTREAM_WIRE_BYTES_RECEIVED UPSTREAM_WIRE_BYTES_SENT
    VIRTUAL_CLUSTER_NAME
"""
_PLAIN = frozenset(_PLAIN_NAMES.split())
_NAMES_WITH_ARGUMENT = """
    CEL CLUSTER_METADATA COMMON_DURATION DYNAMIC_METADATA ENVIRONMENT FILTER_STATE METADATA QUERY_PARAM
    REQ REQ_WITHOUT_QUERY REQUEST_HEADER RESP RESPONSE_HEADER TRAILER RESPONSE_TRAILER PATH
    UPSTREAM_FILTER_STATE UPSTREAM_METADATA
"""
_WITH_ARGUMENT = frozenset(_NAMES_WITH_ARGUMENT.split())
_OPTIONAL = frozenset({"START_TIME", "START_TIME_LOCAL", "EMIT_TIME", "GRPC_STATUS"})
_OPTIONAL_PREFIXES = ("DOWNSTREAM_PEER_CERT_V_", "UPSTREAM_PEER_CERT_V_")
_SECRETS = re.compile(
    r"(?i)%(?:REQ|REQUEST_HEADER)\((?:[^)]*\?)?(authorization|proxy-authorization|cookie|x-api-key|apikey)\b"
)


def format_problem(text: str) -> str:
    """Why Envoy would refuse a text with commands; empty where it takes it."""
    rest = _COMMAND.sub("", text)
    if "%" in rest:
        return f"has a lone '%' or a command that is not closed, near {_near(rest)!r}; write %% for one"
    for found in _COMMAND.finditer(text):
        name, argument = found[1], found[2]
        if name is None:
            continue
        optional = name in _OPTIONAL or name.startswith(_OPTIONAL_PREFIXES)
        if name in _WITH_ARGUMENT:
            if not argument:
                return f"%{name}% needs an argument in parentheses"
        elif name not in _PLAIN and not optional:
            near = did_you_mean(name, sorted(_PLAIN | _WITH_ARGUMENT))
            return f"Envoy has no command %{name}%" + (f"; {near}" if near else "")
        elif argument is not None and not optional:
            return f"%{name}% takes no argument"
    return ""


def json_labels(text: str) -> tuple[Mapping[str, str], str]:
    """The labels of a JSON text, and what is wrong with it."""
    try:
        found = json.loads(text)
    except ValueError:
        return EMPTY, "must be a JSON object, as accessLogEncoding says"
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        return EMPTY, "must be a JSON object whose values are text"
    return MappingProxyType(found), ""


def checked_format(
    found: LogFormat, document: Document, path: FieldPath, said: list[Diagnostic]
) -> LogFormat:
    """The format, or Istio's default where Envoy would refuse it; says so, and which secrets it logs."""
    texts = [found.text, *found.labels.values()]
    for text in texts:
        if secret := logged_secret(text):
            why = f"writes the header {secret} into the log, and with it what it should keep secret"
            said.append(problem(document, "MG2002", path, why, severity=Severity.WARNING))
    wrong = next((why for text in texts if (why := format_problem(text))), "")
    if not wrong:
        return found
    said.append(wrong_format(document, path, wrong))
    return replace(found, text="", labels=EMPTY, json=found.json or bool(found.labels))


def wrong_format(document: Document, path: FieldPath, why: str) -> Diagnostic:
    """MG2002 about a format; a log is no reason to refuse what else an object says."""
    message = f"{why}; lines have Istio's default form"
    return problem(document, "MG2002", path, message, severity=Severity.WARNING)


def logged_secret(text: str) -> str:
    """The header with a secret that the text would write down; empty where it names none."""
    found = _SECRETS.search(text)
    return found[1] if found else ""


def _near(rest: str) -> str:
    at = rest.index("%")
    return rest[at : at + 20]
