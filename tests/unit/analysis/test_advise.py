"""Advice: every case that istioctl finds is found, and nothing is said about what is well."""

from __future__ import annotations

import pytest

from meshgate.analysis import advise
from meshgate.analysis.matches import covers
from meshgate.core.diagnostics import Severity
from meshgate.model.route import (
    MatchKind,
    NamedMatch,
    PathKind,
    PathMatch,
    RequestMatch,
    StringMatch,
)
from meshgate.pipeline import build, read_texts
from tests.docs.analysis_cases import CASES, Case
from tests.docs.analysis_page import analyzed


@pytest.mark.parametrize("case", CASES, ids=[c.theirs for c in CASES])
def test_what_istioctl_finds_is_found(case: Case) -> None:
    found = [d for d in analyzed(case) if d.code == case.ours]
    assert found
    assert all(d.object and d.origin.line for d in found)


def test_nothing_is_said_about_what_is_well() -> None:
    text = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, name: http}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http:
  - match: [{uri: {exact: /ab}}, {uri: {prefix: /a}, method: {exact: GET}}]
    route: [{destination: {host: web}}]
  - match: [{uri: {prefix: /a}}]
    route: [{destination: {host: web}}]
  - route: [{destination: {host: web}}]
"""
    documents, _ = read_texts({"in.yaml": text})
    built = build(documents)
    assert advise(built.declared, built.model) == ()


def test_advice_is_never_an_error() -> None:
    for case in CASES:
        documents, _ = read_texts({"in.yaml": case.manifest})
        built = build(documents)
        given = advise(built.declared, built.model)
        assert all(d.severity is not Severity.ERROR and d.remedy for d in given)


def _path(kind: PathKind, value: str) -> RequestMatch:
    return RequestMatch(paths=(PathMatch(kind=kind, value=value),))


def _header(value: str, invert: bool = False) -> RequestMatch:
    match = StringMatch(kind=MatchKind.EXACT, value=value)
    return RequestMatch(headers=(NamedMatch(name="x", match=match, invert=invert),))


def _methods(*names: str) -> RequestMatch:
    return RequestMatch(methods=tuple(StringMatch(kind=MatchKind.EXACT, value=n) for n in names))


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        (_path(PathKind.PREFIX, "/a"), _path(PathKind.EXACT, "/ab"), True),
        (_path(PathKind.PREFIX, "/a"), _path(PathKind.PREFIX, "/"), False),
        (_path(PathKind.EXACT, "/a"), _path(PathKind.PREFIX, "/a"), False),
        (_path(PathKind.REGEX, "/.*"), _path(PathKind.REGEX, "/.*"), True),
        (_path(PathKind.PREFIX, "/b"), RequestMatch(), False),
        (RequestMatch(), _path(PathKind.EXACT, "/a"), True),
        (_header("1"), _header("1"), True),
        (_header("1"), _header("2"), False),
        (_header("1"), _header("1", invert=True), False),
        (_header("1"), RequestMatch(), False),
        (_methods("GET", "PUT"), _methods("GET"), True),
        (_methods("GET"), _methods("GET", "PUT"), False),
        (_methods("GET"), RequestMatch(), False),
        (RequestMatch(port=80), RequestMatch(), False),
        (RequestMatch(gateways=("mesh",)), RequestMatch(), False),
        (RequestMatch(source_labels={"a": "1"}), RequestMatch(source_labels={"a": "1", "b": "2"}), True),
        (RequestMatch(source_labels={"a": "1", "b": "2"}), RequestMatch(source_labels={"a": "1"}), False),
    ],
)
def test_covers(wide: RequestMatch, narrow: RequestMatch, expected: bool) -> None:
    assert covers(wide, narrow) is expected
