"""Plugins that authenticate, and their credentials, on the way from kong.yaml."""

from __future__ import annotations

import pytest
import yaml

from meshgate.core.diagnostics import Severity
from meshgate.dialects.kong.declarative import convert
from meshgate.model.graph import Model
from meshgate.pipeline import build, read_texts


def _imported(text: str) -> Model:
    """The model of a kong.yaml that loses nothing."""
    converted = convert(f'_format_version: "3.0"\n{text}', "kong.yaml")
    assert converted.diagnostics == ()
    made = "---\n".join(yaml.safe_dump(m) for m in converted.manifests)
    documents, problems = read_texts({"made.yaml": made})
    built = build(documents)
    assert [str(d) for d in (*problems, *built.diagnostics) if d.severity is not Severity.INFO] == []
    return built.model


def _of_routes(model: Model) -> list[str]:
    return [type(p).__name__ for h in model.edge_hosts.values() for r in h.rules for p in r.policies]


@pytest.mark.parametrize(
    ("plugin", "credential", "kind"),
    [
        (
            "{name: hmac-auth, config: {enforce_headers: [date], algorithms: [hmac-sha256]}}",
            "hmacauth_credentials: [{username: ann-1, secret: hush}]",
            "HmacAuth",
        ),
    ],
)
def test_it_arrives(plugin: str, credential: str, kind: str) -> None:
    model = _imported(
        f"services: [{{name: a, host: a.example, routes: [{{paths: [/a], plugins: [{plugin}]}}]}}]\n"
        f"consumers:\n- username: ann\n  {credential}\n"
    )
    assert _of_routes(model) == [kind]
    (consumer,) = model.consumers.values()
    assert consumer.hmac
