"""Kong's annotations on a Service: how the gateway calls it (Kong Ingress Controller 3.5's list)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import Origin
from meshgate.dialects.annotation_list import KONG, MESHGATE
from meshgate.dialects.annotations import (
    PLUGINS,
    annotation_path,
    plugin_problems,
    split_list,
    unknown_annotation,
    without_effect,
)
from meshgate.dialects.document import Document, is_dns_label, is_dns_name
from meshgate.dialects.schema import problem, show
from meshgate.model.service import AppProtocol, EdgeOptions, UpstreamTls

_TLS = frozenset(
    {"client-cert", "tls-verify", "tls-verify-depth", "ca-certificates-secrets", "ca-certificates-configmaps"}
)
_PROTOCOLS = {
    "http": (AppProtocol.HTTP, False),
    "https": (AppProtocol.HTTP, True),
    "grpc": (AppProtocol.GRPC, False),
    "grpcs": (AppProtocol.GRPC, True),
    "tcp": (AppProtocol.TCP, False),
    "tls": (AppProtocol.TCP, True),
}
"""(what is spoken, whether over TLS)."""
_MOST_DEPTH = 100
_SERVICE_UPSTREAM = "ingress.kubernetes.io/service-upstream"
EXPORT_TO = "networking.istio.io/exportTo"
_NUMBER = re.compile(r"[0-9]{1,9}")
_MOST_RETRIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAnnotations:
    """What the annotations of a Service say."""

    plugin_names: tuple[str, ...]
    plugins_origin: Origin | None
    edge: EdgeOptions
    export_to: tuple[str, ...]
    """Of `networking.istio.io/exportTo`; empty: not said."""
    protocol: AppProtocol | None
    """What its pods speak, whatever its ports say; None: what those say."""
    diagnostics: tuple[Diagnostic, ...]


def service_annotations(annotations: Mapping[str, str], document: Document) -> ServiceAnnotations:
    """Reads a Service's annotations (MG2005; MG1104 for those about TLS to the upstream)."""
    reader = _Reader(document)
    for name, value in annotations.items():
        if name.startswith(KONG):
            reader.read(name, name.removeprefix(KONG), value)
        elif name == _SERVICE_UPSTREAM:
            reader.note_pods(name)
        elif name == EXPORT_TO:
            reader.read_export_to(value)
        elif name.startswith(MESHGATE):
            reader.said.append(unknown_annotation(name, document, MESHGATE))
    reader.finish()
    return ServiceAnnotations(
        plugin_names=reader.names,
        plugins_origin=reader.origin,
        edge=reader.edge,
        export_to=reader.export_to,
        protocol=reader.protocol,
        diagnostics=tuple(reader.said),
    )


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self.names: tuple[str, ...] = ()
        self.origin: Origin | None = None
        self.edge = EdgeOptions()
        self.export_to: tuple[str, ...] = ()
        self.protocol: AppProtocol | None = None
        self.said: list[Diagnostic] = []
        self._tls = UpstreamTls()
        self._over_tls = False
        self._about_tls: list[str] = []
        """Annotations that say something of TLS."""

    def finish(self) -> None:
        """TLS is what all annotations together say of it."""
        if self._over_tls:
            origin = self._document.locate(annotation_path(f"{KONG}protocol"))
            self.edge = replace(self.edge, tls=replace(self._tls, origin=origin))
            return
        for name in self._about_tls:
            message = (
                f"{name} is for TLS to the upstream, and {KONG}protocol does not say https, grpcs or tls"
            )
            self._error("MG2006", name, message)

    def note_pods(self, name: str) -> None:
        """The way by the Service's address leads to the same pods."""
        message = "the gateway has no way to pods but the mesh's own; it has no effect"
        at = annotation_path(name)
        self.said.append(problem(self._document, "MG2005", at, message, severity=Severity.INFO, key=True))

    def read_export_to(self, value: str) -> None:
        """Istio's list of namespaces; one that cannot be read exports the service to nobody else."""
        self.export_to = split_list(value)
        for place in self.export_to:
            if place not in ("*", ".", "~") and not is_dns_label(place):
                message = f"must be a comma list of `*`, `.`, `~` and namespaces, got {show(place)}"
                self._error("MG2005", EXPORT_TO, message)

    def read(self, name: str, short: str, value: str) -> None:
        """One annotation of Kong's."""
        text = value.strip()
        match short:
            case "plugins":
                self.names = split_list(value)
                self.origin = self._document.locate(annotation_path(PLUGINS))
                self.said.extend(plugin_problems(value, self._document))
            case "connect-timeout":
                self.edge = replace(self.edge, connect_timeout_ms=self._number(name, text, least=1))
            case "read-timeout" | "write-timeout":
                longest = max(self._number(name, text, least=1) or 0, self.edge.idle_timeout_ms or 0)
                self.edge = replace(self.edge, idle_timeout_ms=longest or None)
            case "retries":
                self.edge = replace(self.edge, retries=self._number(name, text, most=_MOST_RETRIES))
            case "host-header":
                self._host(name, text)
            case "path":
                self._path(name, text)
            case "protocol":
                self._protocol(name, text.lower())
            case "upstream-policy":
                origin = self._document.locate(annotation_path(name))
                self.edge = replace(self.edge, upstream_policy=text, upstream_policy_origin=origin)
                if not is_dns_name(text):
                    self._error("MG2005", name, f"must be the name of a KongUpstreamPolicy, got {show(text)}")
            case "override":
                self._error(
                    "MG2005", name, "its KongIngress does not exist or is broken; the Service is left out"
                )
            case _ if short in _TLS:
                self._about(name, short, text)
            case _:
                self.said.append(without_effect(name, self._document))

    def _number(self, name: str, text: str, *, least: int = 0, most: int = 2**31 - 2) -> int | None:
        number = int(text) if _NUMBER.fullmatch(text) else -1
        if least <= number <= most:
            return number
        self._error("MG2005", name, f"must be a whole number from {least} to {most}, got {show(text)}")
        return None

    def _host(self, name: str, text: str) -> None:
        host, _, port = text.partition(":")
        if is_dns_name(host.lower()) and (not port or _NUMBER.fullmatch(port)):
            self.edge = replace(self.edge, host_header=text)
        else:
            self._error("MG2005", name, f"must be a host name, got {show(text)}")

    def _path(self, name: str, text: str) -> None:
        if text.startswith("/") and text.isprintable() and not set(text) & set(" ?#"):
            self.edge = replace(self.edge, path=text.rstrip("/"), path_slash=text.endswith("/"))
        else:
            self._error("MG2005", name, f"must be a path that starts with /, got {show(text)}")

    def _protocol(self, name: str, text: str) -> None:
        if text in _PROTOCOLS:
            self.protocol, self._over_tls = _PROTOCOLS[text]
        else:
            self._error("MG2005", name, f"must be one of {', '.join(_PROTOCOLS)}; got {show(text)}")

    def _about(self, name: str, short: str, text: str) -> None:
        """An annotation about TLS to the upstream."""
        if text.lower() in ("false", ""):
            return
        self._about_tls.append(name)
        match short:
            case "tls-verify":
                if text.lower() != "true":
                    self._error("MG2005", name, f'must be "true" or "false", got {show(text)}')
                self._tls = replace(self._tls, verify=True)
            case "tls-verify-depth":
                self._tls = replace(self._tls, depth=self._number(name, text, most=_MOST_DEPTH))
            case "client-cert":
                self._tls = replace(self._tls, client_secret=self._names(name, text, most=1)[0])
            case "ca-certificates-secrets":
                self._tls = replace(self._tls, authority_secrets=self._names(name, text))
            case _:
                self._tls = replace(self._tls, authority_config_maps=self._names(name, text))

    def _names(self, name: str, text: str, *, most: int = 100) -> tuple[str, ...]:
        names = split_list(text)
        if not names or len(names) > most or not all(map(is_dns_name, names)):
            what = "the name of a Secret" if most == 1 else "a comma list of names"
            self._error("MG2005", name, f"must be {what}, got {show(text)}")
        return names or ("",)

    def _error(self, code: str, name: str, message: str) -> None:
        self.said.append(problem(self._document, code, annotation_path(name), message))
