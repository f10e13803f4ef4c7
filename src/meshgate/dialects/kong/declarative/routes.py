"""Routes as Ingresses with Kong's annotations, which say what Kong's defaults leave unsaid."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pydantic import ValidationError

from meshgate.core.origin import FieldPath
from meshgate.dialects.kong.declarative.entities import RouteEntity
from meshgate.dialects.kong.declarative.manifests import (
    NOT_TAKEN_OVER,
    Manifest,
    Manifests,
    add_plugin_name,
    referred,
)
from meshgate.dialects.kong.declarative.services import Services, without_backend
from meshgate.dialects.schema import check

_HTTP = frozenset({"http", "https", "grpc", "grpcs"})
_MATCHES = ("name", "id", "hosts", "paths", "methods", "headers", "protocols")
_PLAIN = re.compile(r"[a-zA-Z0-9\-._~/%]*")
"""Paths of these characters were no regular expressions before format 3.0."""


@dataclass(slots=True)
class Routes:
    """Kong's routes by every name that refers to them."""

    out: Manifests
    services: Services
    version: tuple[int, int]
    made: dict[str, Manifest] = field(default_factory=dict)
    plugins: list[tuple[FieldPath, tuple[str, Manifest]]] = field(default_factory=list)

    def add(self, path: FieldPath, service: str = "") -> None:
        """One route; `service` is the one that it stands in."""
        entity, said = check(RouteEntity, self.out.document, path)
        self.out.said += said
        closed = entity is None
        if entity is None:
            entity = self._readable(path)
        if entity is None:
            return
        odd = sorted(set(entity.protocols) - _HTTP)
        if odd:
            self.out.error(
                (*path, "protocols"), f"{', '.join(odd)} has no counterpart; the route is left out",
                "write an Istio Gateway with a tcp or tls server for it",
            )  # fmt: skip
            return
        wanted = service or referred(entity.service)
        backend = self.services.made.get(wanted) if wanted else None
        if wanted and backend is None:
            self.out.error(path, f"service {wanted!r} is not here; the route answers 503")
            closed = True
        name = self.out.name_for("Ingress", entity.name or f"{wanted or 'route'}-{path[-1]}")
        made = self.out.add(
            "Ingress",
            name,
            api="networking.k8s.io/v1",
            annotations=self._annotations(entity, path),
            spec={"ingressClassName": "kong", "rules": self._rules(entity, path, name, backend)},
        )
        if closed:
            add_plugin_name(made, NOT_TAKEN_OVER)
        for known in (entity.name, entity.id):
            if known:
                self.made[known] = made
        self.plugins += [((*path, "plugins", i), ("route", made)) for i in range(len(entity.plugins))]

    def _readable(self, path: FieldPath) -> RouteEntity | None:
        """What can be read of a route with mistakes: left out, a wider one would take what it guards."""
        entry = self.out.entry(path)
        kept: dict[str, object] = {}
        for key in _MATCHES:
            try:
                RouteEntity.model_validate({key: entry.get(key)})
            except ValidationError:
                continue
            if entry.get(key):
                kept[key] = entry[key]
        narrow = kept.keys() & {"hosts", "paths"} and "expression" not in entry
        return RouteEntity.model_validate(kept) if narrow else None

    def _annotations(self, entity: RouteEntity, path: FieldPath) -> dict[str, str]:
        said = {
            "strip-path": _bool(entity.strip_path),
            "preserve-host": _bool(entity.preserve_host),
            "methods": ",".join(entity.methods or ()),
            "snis": ",".join(entity.snis or ()),
        }
        if set(entity.protocols) != {"http", "https"}:
            said["protocols"] = ",".join(entity.protocols)
        if entity.https_redirect_status_code != 426 and set(entity.protocols) <= {"https", "grpcs"}:
            said["https-redirect-status-code"] = str(entity.https_redirect_status_code)
        if entity.regex_priority:
            said["regex-priority"] = str(entity.regex_priority)
        if entity.path_handling != "v0":
            said["path-handling"] = entity.path_handling
        for key, value in (
            ("request_buffering", entity.request_buffering),
            ("response_buffering", entity.response_buffering),
        ):
            if not value:
                said[key.replace("_", "-")] = "false"
        for header, values in (entity.headers or {}).items():
            said[f"headers.{header}"] = ",".join(values)
        return {f"konghq.com/{key}": value for key, value in said.items() if value}

    def _rules(
        self, entity: RouteEntity, path: FieldPath, name: str, backend: Manifest | None
    ) -> list[dict[str, object]]:
        if backend is None:
            service, port = without_backend(self.out, f"{name}-nowhere"), 80
        else:
            metadata, spec = backend["metadata"], backend["spec"]
            assert isinstance(metadata, dict)
            assert isinstance(spec, dict)
            service, port = metadata["name"], spec["ports"][0]["port"]
        paths = [
            {
                "path": self._path(text),
                "pathType": "ImplementationSpecific",
                "backend": {"service": {"name": service, "port": {"number": port}}},
            }
            for text in entity.paths or ("/",)
        ]
        rules: list[dict[str, object]] = []
        for i, host in enumerate(entity.hosts or ("",)):
            bare = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
            if bare != host:
                self.out.warn((*path, "hosts", i), f"the port of {host!r} is not compared")
            if bare.endswith("*"):
                self.out.error(
                    (*path, "hosts", i), f"{host!r} has its wildcard at the end; the host is left out"
                )
                continue
            rules.append({"host": bare, "http": {"paths": paths}} if bare else {"http": {"paths": paths}})
        return rules

    def _path(self, text: str) -> str:
        if text.startswith("~"):
            return "/~" + text[1:]
        if self.version < (3, 0) and not _PLAIN.fullmatch(text):
            return "/~" + text
        return text


def attach_tls(made: list[Manifest], hosts: list[str], secret: str) -> bool:
    """Names a certificate on the first Ingress that has each host; False where none has any."""
    found = False
    for host in hosts:
        for ingress in made:
            if ingress["kind"] != "Ingress" or host not in _hosts(ingress):
                continue
            spec = ingress["spec"]
            assert isinstance(spec, dict)
            spec.setdefault("tls", []).append({"hosts": [host], "secretName": secret})
            found = True
            break
    return found


def _hosts(ingress: Manifest) -> list[str]:
    spec = ingress["spec"]
    assert isinstance(spec, dict)
    return [str(rule.get("host", "")) for rule in spec["rules"]]


def _bool(value: bool) -> str:
    return "true" if value else "false"
