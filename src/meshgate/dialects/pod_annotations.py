"""Istio's annotations on a pod template: settings of the sidecar, and which traffic passes it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.annotation_list import POD_TEMPLATE, TRAFFIC, find
from meshgate.dialects.annotations import near_annotation, split_list
from meshgate.dialects.document import Document
from meshgate.dialects.proxy_settings import ProxySettingsSpec
from meshgate.dialects.schema import check, problem, show
from meshgate.dialects.yaml_inside import inner_document, placed
from meshgate.model.mesh_config import ProxySettings
from meshgate.model.workload import Capture

PROXY = "proxy.istio.io/"
SIDECAR = "sidecar.istio.io/"
CONFIG = f"{PROXY}config"

_TRAFFIC_ELSEWHERE = frozenset({"kubevirtInterfaces", "excludeInterfaces"})
_SILENT = frozenset(f"{SIDECAR}{name}" for name in ("status", "rewriteAppHTTPProbers", "nativeSidecar"))
"""Of no meaning where pods are processes."""


@dataclass(slots=True)
class PodAnnotations:
    """What they say."""

    settings: ProxySettings = field(default_factory=ProxySettings)
    capture: Capture = field(default_factory=Capture)
    diagnostics: list[Diagnostic] = field(default_factory=list)


def pod_annotations(annotations: Mapping[str, str], document: Document, path: FieldPath) -> PodAnnotations:
    """Reads a pod template's annotations of Istio's (MG2005); `path` is where they are written."""
    found = PodAnnotations()
    for name, value in annotations.items():
        here = (*path, name)
        if name == CONFIG:
            _config(value, document, here, found)
        elif name.startswith(TRAFFIC):
            _traffic(name.removeprefix(TRAFFIC), value, document, here, found)
        elif name.startswith((PROXY, SIDECAR)) and name not in _SILENT and find(name, POD_TEMPLATE) is None:
            found.diagnostics.append(_without_effect(document, here, f"{name} is not supported"))
    return found


def _config(text: str, document: Document, path: FieldPath, found: PodAnnotations) -> None:
    inner, problems = inner_document(document, path, text)
    found.diagnostics.extend(problems)
    if inner is None:
        return
    spec, said = check(ProxySettingsSpec, inner)
    for name in ("tracing", "gatewayTopology"):
        if name in inner.data:
            said.append(_without_effect(inner, (name,), "means nothing for a single pod"))
    found.diagnostics.extend(placed(said, document, inner, path))
    if spec is not None:
        found.settings = replace(spec.lower(), tracing_sampling_percent=None)


def _traffic(name: str, value: str, document: Document, path: FieldPath, found: PodAnnotations) -> None:
    if find(f"{TRAFFIC}{name}", POD_TEMPLATE) is None:
        known = name in _TRAFFIC_ELSEWHERE
        near = "" if known else near_annotation(f"{TRAFFIC}{name}", POD_TEMPLATE, TRAFFIC)
        message = f"{TRAFFIC}{name} is not supported" if known else f"unknown annotation {TRAFFIC}{name}"
        found.diagnostics.append(_without_effect(document, path, message, near))
        return
    capture, everything = found.capture, value.strip() == "*"
    try:
        match name:
            case "includeInboundPorts":
                capture = replace(capture, include_inbound_ports=None if everything else _ports(value))
            case "excludeInboundPorts":
                capture = replace(capture, exclude_inbound_ports=_ports(value))
            case "includeOutboundPorts":
                capture = replace(capture, include_outbound_ports=_ports(value))
            case "excludeOutboundPorts":
                capture = replace(capture, exclude_outbound_ports=_ports(value))
            case "includeOutboundIPRanges":
                ranges = None if everything else tuple(_ranges(value))
                capture = replace(capture, include_outbound_cidrs=ranges)
            case _:
                capture = replace(capture, exclude_outbound_cidrs=tuple(_ranges(value)))
    except ValueError as error:
        found.diagnostics.append(problem(document, "MG2005", path, str(error)))
    found.capture = capture


def _ports(text: str) -> tuple[int, ...]:
    numbers = []
    for item in split_list(text):
        if not item.isdecimal() or not 1 <= int(item) <= 65535:
            raise ValueError(f"must be a comma list of ports, got {show(item)}")
        numbers.append(int(item))
    return tuple(sorted(set(numbers)))


def _ranges(text: str) -> Iterator[str]:
    for item in split_list(text):
        try:
            network = ipaddress.ip_network(item, strict=False)
        except ValueError:
            raise ValueError(f"must be a comma list of ranges like 10.0.0.0/8, got {show(item)}") from None
        if network.version == 4:
            yield str(network)


def _without_effect(document: Document, path: FieldPath, message: str, remedy: str = "") -> Diagnostic:
    return problem(
        document,
        "MG2005",
        path,
        f"{message}; it has no effect",
        severity=Severity.WARNING,
        remedy=remedy,
        key=True,
    )
