"""One entry of `http` in a VirtualService, lowered to a rule of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from pydantic.alias_generators import to_camel

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.istio.cors import CorsSpec, lower_cors
from meshgate.dialects.istio.faults import FaultSpec, PercentSpec, lower_fault
from meshgate.dialects.istio.headers import HeadersSpec, lower_changes
from meshgate.dialects.istio.hosts import DestinationSpec
from meshgate.dialects.istio.http_actions import (
    DirectResponseSpec,
    MirrorSpec,
    RedirectSpec,
    RewriteSpec,
    RouteDestinationSpec,
    lower_direct_response,
    lower_redirect,
    lower_rewrite,
)
from meshgate.dialects.istio.matching import MatchLowering, MatchSpec
from meshgate.dialects.istio.retries import RetrySpec, lower_retry
from meshgate.dialects.schema import DurationMs, Items, Spec, fault, problem
from meshgate.model.declared import Delegation
from meshgate.model.names import Name
from meshgate.model.route import (
    DEFAULT_RETRY,
    Action,
    Fault,
    Forward,
    Mirror,
    Refuse,
    Rewrite,
    Rule,
    WeightedDestination,
)

_ROUTE_ONLY = frozenset(
    {"timeout", "retries", "rewrite", "mirror", "mirrors", "mirror_percentage", "mirror_percent"}
)
_OPTIONAL = _ROUTE_ONLY | {"fault", "cors_policy", "headers"}
_WHOLE = 100
"""The weight of a lone destination, whatever its own is."""


def _name(text: str) -> str:
    if not is_dns_name(text):
        raise fault("MG2004", "must be a name of lower-case letters, digits, hyphens and dots")
    return text


class DelegateSpec(Spec):
    """Istio's `Delegate`: the rule's inside is in another VirtualService."""

    name: Annotated[str, AfterValidator(_name)]
    namespace: Annotated[str, AfterValidator(_name)] | None = None


class HttpRouteSpec(Spec):
    """Istio's `HTTPRoute`."""

    name: str = ""
    match: Items[MatchSpec] = ()
    route: Items[RouteDestinationSpec] = ()
    redirect: RedirectSpec | None = None
    direct_response: DirectResponseSpec | None = None
    delegate: DelegateSpec | None = None
    rewrite: RewriteSpec | None = None
    timeout: DurationMs | None = None
    retries: RetrySpec | None = None
    fault: FaultSpec | None = None
    mirror: DestinationSpec | None = None
    mirrors: Items[MirrorSpec] = ()
    mirror_percentage: PercentSpec | None = None
    mirror_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    cors_policy: CorsSpec | None = None
    headers: HeadersSpec = HeadersSpec()

    ACTIONS: ClassVar[Mapping[str, str]] = {
        "route": "route",
        "redirect": "redirect",
        "directResponse": "direct_response",
        "delegate": "delegate",
    }
    """Of which a rule has exactly one: as written -> attribute."""

    def delegation(self, rule: int, namespace: str) -> Delegation | None:
        """To whom the rule is handed; of VirtualServices in its own namespace if it does not say."""
        to = self.delegate
        return Delegation(rule=rule, to=Name(to.namespace or namespace, to.name)) if to else None

    def written(self) -> frozenset[str]:
        """The optional parts that are there, which a rule that delegates does not replace."""
        parts = {to_camel(name) for name in self.model_fields_set & _OPTIONAL}
        return frozenset("mirror" if name.startswith("mirror") else name for name in parts)


class RouteLowering:
    """Lowers the rules of one VirtualService and collects what is wrong with them."""

    def __init__(self, document: Document, said: list[Diagnostic]) -> None:
        self._document = document
        self._said = said
        self._matching = MatchLowering(document, said)

    def rule(self, spec: HttpRouteSpec, name: str, path: FieldPath) -> Rule:
        """One rule; where it has errors its value is only good to be thrown away."""
        changes = (*path, "headers")
        return Rule(
            name=name,
            matches=tuple(self._matching.request(m, (*path, "match", i)) for i, m in enumerate(spec.match)),
            action=self._action(spec, path),
            request_headers=lower_changes(
                spec.headers.request, self._document, (*changes, "request"), self._said
            ),
            response_headers=lower_changes(
                spec.headers.response, self._document, (*changes, "response"), self._said
            ),
            fault=self._fault(spec, path),
            cors=(
                lower_cors(spec.cors_policy, self._document, (*path, "corsPolicy"), self._said)
                if spec.cors_policy
                else None
            ),
            origin=self._document.locate(path),
        )

    def _fault(self, spec: HttpRouteSpec, path: FieldPath) -> Fault | None:
        if spec.fault is None:
            return None
        return lower_fault(spec.fault, self._document, (*path, "fault"), self._said)

    def _action(self, spec: HttpRouteSpec, path: FieldPath) -> Action:
        given = [written for written, attribute in spec.ACTIONS.items() if getattr(spec, attribute)]
        if len(given) != 1:
            choices = "route, redirect, directResponse and delegate"
            code, found = ("MG2006", " and ".join(given)) if given else ("MG2003", "none")
            self._add(code, path, f"must have one of {choices}, got {found}")
            return Refuse(status=503, reason="the rule has no destination")
        if spec.route or spec.delegate is not None:
            return self._forward(spec, path)
        self._report_useless(spec, path, given[0])
        if spec.redirect is not None:
            return lower_redirect(spec.redirect, self._document, (*path, "redirect"), self._said)
        if spec.direct_response is not None:
            here = (*path, "directResponse")
            return lower_direct_response(spec.direct_response, self._document, here, self._said)
        return Refuse(status=503, reason="the rule has no destination")

    def _report_useless(self, spec: HttpRouteSpec, path: FieldPath, action: str) -> None:
        for attribute in sorted(_ROUTE_ONLY & spec.model_fields_set):
            written = (*path, to_camel(attribute))
            self._warn("MG2006", written, f"has no effect beside {action}", "remove it")

    def _forward(self, spec: HttpRouteSpec, path: FieldPath) -> Forward:
        rewrite = Rewrite()
        if spec.rewrite is not None:
            rewrite = lower_rewrite(spec.rewrite, self._document, (*path, "rewrite"), self._said)
        authority = rewrite.authority or spec.headers.authority() or self._lone_authority(spec)
        retry = DEFAULT_RETRY
        if spec.retries is not None:
            retry = lower_retry(spec.retries, self._document, (*path, "retries"), self._said)
        return Forward(
            destinations=self._destinations(spec, path),
            timeout_ms=spec.timeout or 0,
            retry=retry,
            rewrite=replace(rewrite, authority=authority) if authority else rewrite,
            mirrors=self._mirrors(spec, path),
        )

    def _lone_authority(self, spec: HttpRouteSpec) -> str:
        return spec.route[0].headers.authority() if len(spec.route) == 1 else ""

    def _destinations(self, spec: HttpRouteSpec, path: FieldPath) -> tuple[WeightedDestination, ...]:
        several = len(spec.route) > 1
        if several and not sum(d.weight or 0 for d in spec.route):
            self._add("MG2002", (*path, "route"), "the weights must add up to more than 0, got 0")
        found: list[WeightedDestination] = []
        for index, one in enumerate(spec.route):
            here = (*path, "route", index)
            if several and one.weight is None:
                self._warn("MG2006", here, "has no weight, so it gets no traffic", "add weight")
            if several and one.headers.authority():
                self._warn(
                    "MG1103",
                    (*here, "headers", "request", "set"),
                    "the Host header cannot be set for one destination of several",
                    "set it in the rule's own headers",
                )
            changes = (*here, "headers")
            found.append(
                WeightedDestination(
                    destination=one.destination.lower(),
                    weight=(one.weight or 0) if several else _WHOLE,
                    request_headers=lower_changes(
                        one.headers.request, self._document, (*changes, "request"), self._said
                    ),
                    response_headers=lower_changes(
                        one.headers.response, self._document, (*changes, "response"), self._said
                    ),
                )
            )
        return tuple(found)

    def _mirrors(self, spec: HttpRouteSpec, path: FieldPath) -> tuple[Mirror, ...]:
        if spec.mirror is not None and spec.mirrors:
            self._add("MG2006", (*path, "mirrors"), "must not stand beside mirror")
        if spec.mirror_percent is not None:
            self._warn(
                "MG2007",
                (*path, "mirrorPercent"),
                "mirrorPercent is deprecated",
                f"write mirrorPercentage: {{value: {spec.mirror_percent}}}",
            )
        if spec.mirror is not None:
            percent = 100.0 if spec.mirror_percent is None else float(spec.mirror_percent)
            if spec.mirror_percentage is not None:
                percent = spec.mirror_percentage.value
            return (Mirror(destination=spec.mirror.lower(), percent=percent),) if percent else ()
        return tuple(
            Mirror(destination=m.destination.lower(), percent=percent)
            for m in spec.mirrors
            if (percent := m.percentage.value if m.percentage is not None else 100.0)
        )

    def _add(self, code: str, path: FieldPath, message: str) -> None:
        self._said.append(problem(self._document, code, path, message))

    def _warn(self, code: str, path: FieldPath, message: str, remedy: str) -> None:
        self._said.append(
            problem(self._document, code, path, message, severity=Severity.WARNING, remedy=remedy)
        )
