"""Istio's other kinds are named; those that guard something are errors that say what stays open."""

from __future__ import annotations

import pytest

from meshgate.core.diagnostics import Severity
from tests.unit.dialects.reading import read


def _object(group: str, version: str, kind: str) -> str:
    return (
        f"apiVersion: {group}.istio.io/{version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{what: ever}}\n"
    )


@pytest.mark.parametrize(
    ("group", "version", "kind"),
    [
        ("extensions", "v1alpha1", "WasmPlugin"),
    ],
)
def test_a_kind_that_guards_is_an_error_that_says_what_stays_open(
    group: str, version: str, kind: str
) -> None:
    lowered = read(_object(group, version, kind))
    (found,) = lowered.diagnostics
    assert (found.severity, found.code) == (Severity.ERROR, "MG1101")
    assert "open" in found.message
    assert [b.ref.kind for b in lowered.declared.broken] == [kind]
