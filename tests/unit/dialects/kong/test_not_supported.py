"""Kong's other kinds are named; nothing is dropped silently."""

from __future__ import annotations

import pytest

from meshgate.core.diagnostics import Severity
from tests.unit.dialects.reading import read, said


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("v1alpha1", "KongLicense"),
        ("v1alpha1", "KongVault"),
        ("v1alpha1", "KongCustomEntity"),
    ],
)
def test_a_kind_that_is_not_supported_is_a_warning(version: str, kind: str) -> None:
    text = f"apiVersion: configuration.konghq.com/{version}\nkind: {kind}\nmetadata: {{name: a}}\n"
    (found,) = read(text).diagnostics
    assert (found.severity, found.code, found.origin.line) == (Severity.WARNING, "MG1101", 2)
    assert found.message.startswith(f"{kind} is not supported yet: ")


def test_the_text_about_a_vault() -> None:
    text = "apiVersion: configuration.konghq.com/v1alpha1\nkind: KongVault\nmetadata: {name: a}\n"
    assert said(text) == [
        "f.yaml:2:7: warning MG1101 KongVault a kind: KongVault is not supported yet: "
        "references to it stay closed"
    ]
