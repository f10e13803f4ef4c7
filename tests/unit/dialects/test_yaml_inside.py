"""YAML inside of a field: mistakes are told at their own lines where these can be known."""

from __future__ import annotations

import pytest

from tests.unit.dialects.reading import said

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n"
OBJECT = "ConfigMap istio-system/istio data.mesh"
VALUE = "a value is missing here; write one, and close every [ and {"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "  mesh: |\n    # ours\n    defaultConfig: {a: [b\n    x: y\n",
            f"8:6: error MG1001 {OBJECT}: is not YAML: the [ of line 7 is not closed before this; "
            "write ] before it, or a comma",
        ),
        ("  mesh: |\n    # ours\n    enableAutoMtsl: true\n", f"7:5: error MG1102 {OBJECT}.enableAutoMtsl"),
        ("  mesh: |\n    a: 1\n    a: 2\n", f"7:5: error MG1004 {OBJECT}: the key 'a' is there twice"),
        ('  mesh: "a: ["\n', f"5:9: error MG1001 {OBJECT}: is not YAML: {VALUE}"),
        ("  mesh: text\n", f"5:9: error MG2001 {OBJECT}: must be an object in YAML, got 'text'"),
        ('  mesh: "a: b\\n---\\nc: d"\n', f"5:9: error MG2001 {OBJECT}: must be one YAML document"),
    ],
)
def test_a_mistake_inside(text: str, expected: str) -> None:
    (found,) = said(HEAD + text)
    assert found.startswith(f"f.yaml:{expected}")
