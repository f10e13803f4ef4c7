"""A server at the gateway's own port is named, not passed over."""

from __future__ import annotations

import pytest

from meshgate.app.gateway_ports import taken_ports
from meshgate.pipeline import build, read_texts

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: own}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: {port}, name: http, protocol: HTTP}}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: own}}
spec:
  hosts: [a.example]
  gateways: [own]
  http: [{{directResponse: {{status: 200}}}}]
"""


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (9080, "port 9080 is the gateway's own (--http-port); the server opens nothing"),
        (9443, "port 9443 is the gateway's own (--https-port); the server opens nothing"),
        (9000, ""),
    ],
)
def test_a_server_at_the_gateways_own_port(port: int, said: str) -> None:
    documents, _ = read_texts({"g.yaml": GATEWAY.format(port=port)})
    found = taken_ports(build(documents).model, 9080, 9443)
    assert [d.message for d in found] == ([said] if said else [])
    assert all(d.code == "MG4003" and d.origin.file == "g.yaml" for d in found)
    assert not taken_ports(build(documents).model, 8080, 0)
