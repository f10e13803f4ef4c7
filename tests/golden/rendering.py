"""Golden texts: the model and Envoy's resources as YAML that people can read.

Every listener, cluster and default route is mostly the same. `xds.yaml` therefore leaves
out what is as in the baseline case, which itself is shown whole: a change of what all
share shows there once, a change of what a case adds shows in that case.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from typing import Any

import yaml
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from meshgate.core.origin import Origin
from meshgate.core.secret import Secret
from meshgate.model.names import Name
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.model.telemetry import STANDARD_MEASURES, Mode
from meshgate.simulate.call import GATEWAY
from meshgate.translate.metrics import http_metrics, tcp_metrics
from meshgate.translate.names import (
    CLUSTER,
    EDGE_ROUTES,
    ENDPOINTS,
    LISTENER,
    OUTBOUND_ROUTES,
    ROUTES,
    VIRTUAL_HOST,
)
from meshgate.translate.translator import EnvoyTranslator
from tests.golden import cases

ABSENT = "(absent)"
SAME = "(as in the baseline)"
LONGEST_PROGRAM = 2000
"""Characters of an inline text that is shown."""
STANDARD_METRICS = "(the standard metrics)"
Tree = Any
"""YAML data: goldens are compared as text, so nothing here depends on its shape."""


def render(case: cases.Case) -> dict[str, str]:
    """File name -> text of everything that is golden about a case."""
    return {
        "model.yaml": model_text(case),
        "xds.yaml": xds_text(case),
        "diagnostics.txt": "".join(f"{d}\n" for d in case.diagnostics),
    }


def model_text(case: cases.Case) -> str:
    """The linked model; fields that have their default are left out."""
    return _yaml(_plain(case.model))


def xds_text(case: cases.Case) -> str:
    """The resources of the case's proxies, by proxy and type."""
    model = case.translated()
    shown = {}
    for name in case.proxies:
        found = resources(Reader(model), case.proxy(name), case.asks)
        found = _without_programs(found)
        shown[name] = found if case.full else _compared(_without_standard_metrics(found), name)
    return _yaml(shown)


def resources(reader: Reader, proxy: Proxy, asks: tuple[str, ...]) -> dict[str, dict[str, Tree]]:
    """Type -> name -> resource: what the proxy has from the start and what it would ask for."""
    translator = EnvoyTranslator()

    def get(type_url: str, names: list[str]) -> dict[str, Message]:
        found = {name: translator.translate(reader, proxy, type_url, name) for name in names}
        return {name: message for name, message in found.items() if message is not None}

    def wildcard(type_url: str) -> list[str]:
        return sorted(translator.wildcard(reader, proxy, type_url))

    gate = proxy.kind is ProxyKind.GATEWAY
    routes = get(ROUTES, _edge_routes(reader)) if gate else {}
    asked = [] if gate else [f"{OUTBOUND_ROUTES}/{host}" for host in asks]
    hosts = get(VIRTUAL_HOST, [*wildcard(VIRTUAL_HOST), *asked])
    virtual_hosts = list(hosts.values())
    named = {r.route.cluster for h in virtual_hosts for r in h.routes} - {""}  # type: ignore[attr-defined]
    named |= {
        c.name
        for h in virtual_hosts
        for r in h.routes  # type: ignore[attr-defined]
        for c in r.route.weighted_clusters.clusters
    }
    clusters = sorted({*wildcard(CLUSTER), *named})
    everything = {
        "listeners": get(LISTENER, wildcard(LISTENER)),
        "routes": routes,
        "virtualHosts": hosts,
        "clusters": get(CLUSTER, clusters),
        "endpoints": get(ENDPOINTS, [c for c in clusters if c.startswith("outbound|")]),
    }
    return {
        kind: {name: MessageToDict(message) for name, message in found.items()}
        for kind, found in everything.items()
        if found
    }


def _edge_routes(reader: Reader) -> list[str]:
    """The gateway's own route configuration, and those of Gateways."""
    return [EDGE_ROUTES, *sorted({s.routes for s in reader.all_edge_servers().values()} - {""})]


@lru_cache(maxsize=4)
def _baseline(proxy: str) -> dict[str, dict[str, Tree]]:
    case = cases.read(cases.BASELINE)
    name = proxy if proxy in case.proxies else next(p for p in case.proxies if p != GATEWAY)
    found: dict[str, dict[str, Tree]] = _without_standard_metrics(
        resources(Reader(case.translated()), case.proxy(name), case.asks)
    )
    return found


@lru_cache(maxsize=1)
def _standard_metrics() -> list[list[Tree]]:
    made = [
        count(STANDARD_MEASURES, side, trusted=trusted)
        for count in (http_metrics, tcp_metrics)
        for side in (Mode.CLIENT, Mode.SERVER)
        for trusted in (False, True)
    ]
    return [[MessageToDict(one) for one in loggers] for loggers in made]


def _without_standard_metrics(tree: Tree) -> Tree:
    """The same with one line in place of the counters that every listener has."""
    if isinstance(tree, list):
        return [_without_standard_metrics(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    found = {key: _without_standard_metrics(value) for key, value in tree.items()}
    logs = tree.get("accessLog", [])
    for standard in _standard_metrics():
        if standard and logs[-len(standard) :] == standard:
            found["accessLog"] = [*found["accessLog"][: -len(standard)], STANDARD_METRICS]
    return found


def _compared(found: dict[str, dict[str, Tree]], proxy: str) -> dict[str, Tree]:
    base = _baseline(GATEWAY if proxy == GATEWAY else "sidecar")
    shown: dict[str, Tree] = {}
    for kind, entries in found.items():
        match kind:
            case "listeners":
                local = base[kind].get("service_web.default.svc.cluster.local:80", {})
                shown[kind] = {
                    n: _listener(e, base[kind].get(n, local if n.startswith("service_") else {}))
                    for n, e in entries.items()
                }
            case "clusters":
                plain = base[kind]["outbound|80||web.default.svc.cluster.local"]
                shown[kind] = {n: _difference(e, base[kind].get(n, plain)) for n, e in entries.items()}
            case "routes":
                shown[kind] = {n: _difference(e, base[kind].get(n, {})) for n, e in entries.items()}
            case "virtualHosts":
                shown[kind] = {n: _host(e) for n, e in entries.items()}
            case _:
                shown[kind] = {n: _addresses(e) for n, e in entries.items()}
    return shown


def _listener(listener: Tree, base: Tree) -> Tree:
    """A listener; the chains of certificates are compared with the one of the default certificate."""
    shown = _difference(listener, base)
    default = base.get("defaultFilterChain")
    if default is not None and "filterChains" in shown:
        shown["filterChains"] = [_difference(chain, default) for chain in listener["filterChains"]]
    return shown


def _host(host: Tree) -> Tree:
    """A virtual host whose forwarding routes leave out the default retries and timeouts.

    So is the route by which every wildcard host of the gateway begins.
    """
    first, forward = next(iter(_baseline(GATEWAY)["virtualHosts"].values()))["routes"]
    usual = {key: value for key, value in forward["route"].items() if key != "cluster"}
    routes = []
    for route in host.get("routes", ()):
        if route == first:
            continue
        action = route.get("route")
        routes.append(route if action is None else {**route, "route": _difference(action, usual)})
    return {**host, "routes": routes}


def _addresses(assignment: Tree) -> list[str]:
    """Endpoints as `address:port`, with what is said about each; first where they are, if that counts."""
    lines = []
    for group in assignment.get("endpoints", ()):
        place = "/".join(group.get("locality", {}).get(part, "") for part in ("region", "zone", "subZone"))
        if "loadBalancingWeight" in group:
            order = f"priority {group.get('priority', 0)}, weight {group['loadBalancingWeight']}"
            lines.append(f"{place.rstrip('/') or 'nowhere'}, {order}:")
            place = ""
        for one in group.get("lbEndpoints", ()):
            address = one["endpoint"]["address"]
            socket = address.get("socketAddress")
            reached = f"{socket['address']}:{socket['portValue']}" if socket else address["pipe"]["path"]
            said = one.get("metadata", {}).get("filterMetadata", {}).get("envoy.transport_socket_match", {})
            marks = "".join(f" {key}={value}" for key, value in said.items())
            weight = one.get("loadBalancingWeight", 1)
            marks += f" weight={weight}" if weight != 1 else ""
            marks += f" in {place.rstrip('/')}" if place.strip("/") else ""
            lines.append(f"{reached}{marks}")
    return lines


def _without_programs(tree: Tree) -> Tree:
    """The same with the files that a program is made of in place of its text."""
    if isinstance(tree, list):
        return [_without_programs(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    text = tree.get("inlineString", "")
    if len(text) > LONGEST_PROGRAM:
        modules = re.findall(r"^local (\w+) = \(function\(\)$", text, re.MULTILINE)
        return {**tree, "inlineString": f"(a program with {', '.join(modules)})"}
    return {key: _without_programs(value) for key, value in tree.items()}


def _difference(value: Tree, base: Tree) -> Tree:
    """What of `value` is not as in `base`; equal members of a list stand as a short note."""
    if isinstance(value, dict) and isinstance(base, dict):
        found = {
            key: _difference(item, base[key]) if key in base else item
            for key, item in value.items()
            if key not in base or item != base[key]
        }
        return found | {key: ABSENT for key in base if key not in value}
    if isinstance(value, list) and isinstance(base, list):
        if len(value) == len(base):
            pairs = zip(value, base, strict=True)
            return [SAME if item == other else _difference(item, other) for item, other in pairs]
        return [f"{SAME[:-1]}: {item['name']})" if _named(item) and item in base else item for item in value]
    return value


def _named(item: Tree) -> bool:
    return isinstance(item, dict) and "name" in item


def _plain(value: object) -> Tree:
    match value:
        case Origin() | Name() | Secret():
            return str(value)
        case enum.Enum():
            return value.value
        case bytes():
            return f"({len(value)} bytes)" if len(value) > 200 else value.decode(errors="replace")
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
        case frozenset():
            return sorted((_plain(item) for item in value), key=repr)
        case _ if is_dataclass(value) and not isinstance(value, type):
            named = {} if type(value).__name__ == "Model" else {"=": type(value).__name__}
            kept = {f.name: getattr(value, f.name) for f in fields(value)}
            shown = {f.name: _plain(kept[f.name]) for f in fields(value) if kept[f.name] != _default(f)}
            actions = ("Forward", "Redirect", "DirectResponse", "Refuse", "JwtAuth", "KeyAuth", "RateLimit")
            return named | shown if named.get("=") in actions else shown
        case _:
            return value


def _default(field: Field[Any]) -> object:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING


class _Dumper(yaml.SafeDumper):
    """Long texts stay on one line, and nothing is an alias."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Dumper.add_multi_representer(dict, lambda dumper, data: dumper.represent_dict(data))


def _yaml(data: Tree) -> str:
    return str(
        yaml.dump(
            data, Dumper=_Dumper, sort_keys=True, default_flow_style=None, width=110, allow_unicode=True
        )
    )
