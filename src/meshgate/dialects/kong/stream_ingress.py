"""TCPIngress and UDPIngress: ports of the gateway for what is not HTTP (KIC 3.5's v1beta1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic, has_errors
from meshgate.dialects.annotation_list import KONG
from meshgate.dialects.annotations import annotation_path, plugin_problems, split_list, without_effect
from meshgate.dialects.document import Document, is_dns_label, is_dns_name
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kong.ingress_class import is_ours
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, fault, problem, show
from meshgate.model.declared import Declared
from meshgate.model.stream_ingress import StreamIngress, StreamIngressRule, StreamIngressTls

_PASSTHROUGH = "tls_passthrough"
_PLUGINS = f"{KONG}plugins"


def _host(text: str) -> str:
    if text and not is_dns_name(text.removeprefix("*.")):
        raise fault("MG2004", "must be a lower-case DNS name or *. and one")
    return text


def _service_name(text: str) -> str:
    if not is_dns_label(text):
        raise fault("MG2004", "must be a Service's name in the same namespace (a DNS label)")
    return text


def _secret_name(text: str) -> str:
    if not is_dns_name(text):
        raise fault("MG2004", "must be the name of a Secret in the same namespace")
    return text


Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, AfterValidator(_host)]


class StreamBackend(Spec):
    service_name: Annotated[str, AfterValidator(_service_name)]
    service_port: Port


class UdpRule(Spec):
    port: Port
    backend: StreamBackend


class TcpRule(UdpRule):
    host: Host = ""


class StreamTls(Spec):
    hosts: Items[Host] = ()
    secret_name: Annotated[str, AfterValidator(_secret_name)]


class TcpIngressDetails(Spec):
    rules: Items[TcpRule]
    tls: Items[StreamTls] = ()


class UdpIngressDetails(Spec):
    rules: Items[UdpRule]


class TcpIngressSpec(ObjectSpec):
    spec: TcpIngressDetails


class UdpIngressSpec(ObjectSpec):
    spec: UdpIngressDetails


def lower_tcp_ingress(document: Document) -> Lowered:
    """The ports of one TCPIngress (MG2xxx); nothing is opened where something is wrong."""
    value, said = check(TcpIngressSpec, document)
    if value is None or not _is_meant(value, document, said):
        return Lowered(diagnostics=tuple(said))
    protocols = _protocols(value.metadata.annotations)
    rules = tuple(_rule(document, i, rule, rule.host) for i, rule in enumerate(value.spec.rules))
    tls = tuple(
        StreamIngressTls(
            hosts=entry.hosts, secret_name=entry.secret_name, origin=document.locate(("spec", "tls", i))
        )
        for i, entry in enumerate(value.spec.tls)
    )
    message = _protocol_problem(protocols, rules, tls)
    if message:
        said.append(problem(document, "MG2005", annotation_path(f"{KONG}protocols"), message))
    tls = () if protocols == {_PASSTHROUGH} else tls
    return _lowered(document, rules, said, value.metadata.annotations, tls=tls)


def lower_udp_ingress(document: Document) -> Lowered:
    """The ports of one UDPIngress (MG2xxx); nothing is opened where something is wrong."""
    value, said = check(UdpIngressSpec, document)
    if value is None or not _is_meant(value, document, said):
        return Lowered(diagnostics=tuple(said))
    protocols = _protocols(value.metadata.annotations)
    if protocols - {"udp"}:
        at = annotation_path(f"{KONG}protocols")
        said.append(problem(document, "MG2005", at, f"must be udp, got {show(', '.join(sorted(protocols)))}"))
    rules = tuple(_rule(document, i, rule, "") for i, rule in enumerate(value.spec.rules))
    return _lowered(document, rules, said, value.metadata.annotations, datagrams=True)


def _lowered(
    document: Document,
    rules: tuple[StreamIngressRule, ...],
    said: list[Diagnostic],
    annotations: Mapping[str, str],
    *,
    tls: tuple[StreamIngressTls, ...] = (),
    datagrams: bool = False,
) -> Lowered:
    if not rules:
        said.append(problem(document, "MG2003", ("spec", "rules"), "needs at least one rule"))
    if has_errors(said):
        return Lowered(diagnostics=tuple(said))
    found = StreamIngress(
        ref=document.ref,
        rules=rules,
        tls=tls,
        datagrams=datagrams,
        plugin_names=split_list(annotations.get(_PLUGINS, "")),
        plugins_origin=document.locate(annotation_path(_PLUGINS)) if _PLUGINS in annotations else None,
        created=document.created,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(stream_ingresses=(found,)), diagnostics=tuple(said))


def _is_meant(value: ObjectSpec, document: Document, said: list[Diagnostic]) -> bool:
    """Whether its class is ours; what its annotations ask for and cannot have is an error."""
    for name in value.metadata.annotations:
        short = name.removeprefix(KONG)
        if not name.startswith(KONG) or short == "protocols":
            continue
        if short == "plugins":
            said.extend(plugin_problems(value.metadata.annotations[name], document))
        else:
            said.append(without_effect(name, document))
    return is_ours(value.metadata.annotations, document, said)


def _protocols(annotations: Mapping[str, str]) -> set[str]:
    return {p.lower() for p in split_list(annotations.get(f"{KONG}protocols", ""))}


def _protocol_problem(
    protocols: set[str], rules: tuple[StreamIngressRule, ...], tls: tuple[StreamIngressTls, ...]
) -> str:
    """Why what comes in cannot be restricted to these protocols; empty where it can."""
    if protocols and not protocols <= {"tcp", "tls"} and protocols != {_PASSTHROUGH}:
        return f"must be of tcp, tls, or {_PASSTHROUGH} alone; got {show(', '.join(sorted(protocols)))}"
    if "tcp" not in protocols and protocols and not tls and not all(rule.host for rule in rules):
        return "lets TLS in only, so every rule needs a host, or the object spec.tls"
    if protocols == {"tcp"} and (tls or any(rule.host for rule in rules)):
        return "lets plain TCP in only, and a host or spec.tls asks for TLS"
    return ""


def _rule(document: Document, index: int, rule: UdpRule, host: str) -> StreamIngressRule:
    return StreamIngressRule(
        port=rule.port,
        host=host,
        service=rule.backend.service_name,
        service_port=rule.backend.service_port,
        origin=document.locate(("spec", "rules", index)),
    )


TCP_INGRESS = KindParser(
    group="configuration.konghq.com",
    kind="TCPIngress",
    versions=frozenset({"v1beta1"}),
    namespaced=True,
    lower=lower_tcp_ingress,
    plural="tcpingresses",
)
UDP_INGRESS = KindParser(
    group="configuration.konghq.com",
    kind="UDPIngress",
    versions=frozenset({"v1beta1"}),
    namespaced=True,
    lower=lower_udp_ingress,
    plural="udpingresses",
)
