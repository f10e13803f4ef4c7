"""Kong's annotations (Kong Ingress Controller 3.5's list): which there are, and what all readers share."""

from __future__ import annotations

from collections.abc import Iterator

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.schema import did_you_mean, problem, show

KONG = "konghq.com/"
MESHGATE = "meshgate.dev/"
PLUGINS = f"{KONG}plugins"
CLASS = "kubernetes.io/ingress.class"

ON_INGRESS = frozenset(
    {
        "plugins", "tags", "protocols", "https-redirect-status-code", "strip-path", "preserve-host",
        "regex-priority", "regex-prefix", "methods", "snis", "host-aliases", "headers-separator",
        "path-handling", "request-buffering", "response-buffering", "rewrite", "override",
    }
)  # fmt: skip
ON_SERVICE = frozenset(
    {
        "plugins", "tags", "protocol", "path", "client-cert", "host-header", "upstream-policy",
        "connect-timeout", "read-timeout", "write-timeout", "retries", "tls-verify", "tls-verify-depth",
        "ca-certificates-secrets", "ca-certificates-configmaps", "override",
    }
)  # fmt: skip
_ELSEWHERE = frozenset({"gatewayclass-unmanaged", "publish-service"})
ONLY_INGRESS = frozenset({"rewrite", "regex-prefix", "regex-priority", "override"})
"""Those that mean nothing on a route of the Gateway API."""


def split_list(text: str) -> tuple[str, ...]:
    """The items of a comma list, trimmed, each once, without empty ones."""
    return tuple(dict.fromkeys(item for part in text.split(",") if (item := part.strip())))


def annotation_path(name: str) -> FieldPath:
    """The field path of an object's annotation."""
    return ("metadata", "annotations", name)


def unknown_annotation(name: str, document: Document, known: frozenset[str], prefix: str) -> Diagnostic:
    """The error about an annotation of Kong's or ours that does not exist."""
    near = did_you_mean(name.removeprefix(prefix), sorted(known))
    return problem(
        document,
        "MG2005",
        annotation_path(name),
        f"unknown annotation {name}",
        remedy=near.replace("did you mean ", f"did you mean {prefix}"),
        key=True,
    )


def is_plugin_name(text: str) -> bool:
    """Whether it is `NAME` or, for a plugin of another namespace (KIC 3.4), `NAMESPACE:NAME`."""
    parts = text.split(":")
    return len(parts) <= 2 and all(map(is_dns_name, parts))


def plugin_problems(value: str, document: Document) -> Iterator[Diagnostic]:
    for item in split_list(value):
        if not is_plugin_name(item):
            yield problem(
                document,
                "MG2005",
                annotation_path(PLUGINS),
                f"must be a comma list of KongPlugin names, got {show(item)}",
            )


def without_effect(name: str, document: Document, known: frozenset[str]) -> Diagnostic:
    """A warning for a Kong annotation that exists, an error for one that does not."""
    short = name.removeprefix(KONG)
    everywhere = ON_INGRESS | ON_SERVICE | _ELSEWHERE
    if short not in everywhere and not short.startswith("headers."):
        return unknown_annotation(name, document, known, KONG)
    reason = "is not supported" if short in known else f"means nothing on a {document.ref.kind}"
    return problem(
        document,
        "MG2005",
        annotation_path(name),
        f"{name} {reason}; it has no effect",
        severity=Severity.INFO if short == "tags" else Severity.WARNING,
        key=True,
    )
