"""PeerAuthentications: selectors, modes, and port levels that need a selector."""

from __future__ import annotations

import pytest

from meshgate.model.workload import MtlsMode
from tests.unit.dialects.reading import declared, read, said

HEAD = """\
apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
"""


@pytest.mark.parametrize(
    ("spec", "mode"),
    [
        ("", None),
        ("spec: {}\n", None),
        ("spec: {mtls: {mode: UNSET}}\n", None),
        ("spec: {mtls: {mode: STRICT}}\n", MtlsMode.STRICT),
        ("spec: {mtls: {mode: PERMISSIVE}}\n", MtlsMode.PERMISSIVE),
        ("spec: {mtls: {mode: DISABLE}}\n", MtlsMode.DISABLE),
    ],
)
def test_modes(spec: str, mode: MtlsMode | None) -> None:
    (found,) = declared(HEAD + spec).peer_policies
    assert (found.namespace, found.mode, dict(found.selector), dict(found.ports)) == ("shop", mode, {}, {})


def test_ports_of_selected_workloads() -> None:
    (found,) = declared(
        HEAD
        + "spec:\n  selector: {matchLabels: {app: pay}}\n"
        + "  portLevelMtls: {'9090': {mode: UNSET}, '8080': {mode: DISABLE}}\n"
    ).peer_policies
    assert dict(found.selector) == {"app": "pay"}
    assert dict(found.ports) == {8080: MtlsMode.DISABLE, 9090: None}


def test_port_levels_without_a_selector_have_no_effect() -> None:
    text = HEAD + "spec:\n  mtls: {mode: STRICT}\n  portLevelMtls: {'8080': {mode: DISABLE}}\n"
    (found,) = read(text).declared.peer_policies
    assert (found.mode, dict(found.ports)) == (MtlsMode.STRICT, {})
    assert said(text) == [
        "f.yaml:6:3: warning MG2006 PeerAuthentication shop/strict spec.portLevelMtls: has no effect without "
        "selector.matchLabels; select the workloads whose ports are meant"
    ]


@pytest.mark.parametrize("port", ["http", "0", "65536", "8e1", "²"])
def test_a_port_is_a_number(port: str) -> None:
    text = HEAD + f"spec:\n  selector: {{matchLabels: {{a: b}}}}\n  portLevelMtls: {{'{port}': {{}}}}\n"
    assert said(text) == [
        f"f.yaml:6:19: error MG2002 PeerAuthentication shop/strict {field(port)}: "
        f"must be a port from 1 to 65535, got '{port}'"
    ]
    assert [b.ref.name for b in read(text).declared.broken] == ["strict"]


def field(port: str) -> str:
    """The path of a port's entry as it is printed."""
    return f"spec.portLevelMtls.{port}"


def test_a_misspelt_mode_breaks_the_policy() -> None:
    text = HEAD + "spec: {mtls: {mode: strict}}\n"
    assert said(text) == [
        "f.yaml:4:21: error MG2002 PeerAuthentication shop/strict spec.mtls.mode: must be one of UNSET, "
        "DISABLE, PERMISSIVE or STRICT, got 'strict'; did you mean STRICT?"
    ]
    assert read(text).declared.peer_policies == ()
    assert [str(b.ref) for b in read(text).declared.broken] == ["PeerAuthentication shop/strict"]
