"""What the bridge is told: rules by their ids, consumers, and where services of ours are."""

from __future__ import annotations

from meshgate.app.bridge import bridge_config, logs_config
from meshgate.model.graph import Model
from meshgate.model.policies.logs import HttpLog
from meshgate.model.policies.open_policy import Opa
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in

AGENT = """
apiVersion: v1
kind: Service
metadata: {name: opa}
spec: {selector: {app: opa}, ports: [{name: http, port: 8181, targetPort: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: opa}
spec:
  selector: {matchLabels: {app: opa}}
  template:
    metadata: {labels: {app: opa}}
    spec: {containers: [{name: opa, command: [opa], ports: [{containerPort: 9000}]}]}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: opa}
plugin: opa
config: {opa_host: opa, opa_path: /v1/data/a}
"""
LOGS = """---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: log, namespace: other}
plugin: tcp-log
config: {host: opa.default, port: 8181}
---
apiVersion: configuration.konghq.com/v1
kind: KongClusterPlugin
metadata: {name: short, annotations: {kubernetes.io/ingress.class: kong}, labels: {global: "true"}}
plugin: http-log
config: {http_endpoint: "http://opa:8181"}
"""
INGRESS = """---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, annotations: {konghq.com/plugins: opa}}
spec:
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: opa, port: {number: 8181}}}}]}
"""


def _model(text: str) -> Model:
    documents, problems = read_texts({"in.yaml": text})
    assert not problems
    return build(documents).model


def test_where_nobody_asks_nothing_is_told() -> None:
    assert not bridge_config(_model(AGENT)).needed


def test_a_service_of_ours_is_found_where_it_is() -> None:
    model = _model(AGENT + INGRESS)
    nowhere = bridge_config(model)
    ((policy,),) = nowhere.rules.values()
    assert isinstance(policy, Opa)
    assert policy.host == "opa.default.svc.cluster.local"
    assert nowhere.places == {}
    instances = stand_in(model).instances
    ((pod,),) = instances.values()
    places = bridge_config(model, instances).places
    assert places == {"opa.default.svc.cluster.local:8181": f"{pod.ip}:{pod.ports[9000]}"}


def test_receivers_of_logs_are_told_to_a_process_of_their_own() -> None:
    """A cluster's plugin has no namespace: its short name is none of ours. No credential is told."""
    text = AGENT + LOGS + INGRESS.replace("plugins: opa", 'plugins: "other:log"')
    text += """---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: lend, namespace: other}
spec:
  from: [{group: networking.k8s.io, kind: Ingress, namespace: default}]
  to: [{group: configuration.konghq.com, kind: KongPlugin}]
---
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {name: ann, annotations: {kubernetes.io/ingress.class: kong}}
username: ann
credentials: [key]
---
apiVersion: v1
kind: Secret
metadata: {name: key, labels: {konghq.com/credential: key-auth}}
stringData: {key: the-key-of-ann}
"""
    model = _model(text)
    instances = stand_in(model).instances
    assert not bridge_config(model, instances).needed
    config = logs_config(model, instances)
    ((pod,),) = instances.values()
    assert config.places == {"opa.default.svc.cluster.local:8181": f"{pod.ip}:{pod.ports[9000]}"}
    (consumer,) = config.consumers
    assert (consumer.username, consumer.keys) == ("ann", ())


def test_a_receiver_by_another_name() -> None:
    """An ExternalName is the host that it stands for."""
    text = """---
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {type: ExternalName, externalName: logs.example}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: log}
plugin: http-log
config: {http_endpoint: "https://me:pw@elsewhere:9/in"}
"""
    model = _model(AGENT + text + INGRESS.replace("plugins: opa", "plugins: log"))
    ((log,),) = (route.logs for route in logs_config(model).logged.values())
    assert isinstance(log, HttpLog)
    assert log.endpoint.reveal_text() == "https://me:pw@logs.example:9/in"


def test_what_istios_rules_look_for_is_hidden_too() -> None:
    rules = """---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  jwtRules:
  - issuer: me
    jwks: '{"keys": [{"kty": "oct", "alg": "HS256", "k": "c2hhcmVkIHNlY3JldCBvZiB0aGUgdGVzdHM"}]}'
    fromHeaders: [{name: X-Istio, prefix: "Bearer "}]
    fromParams: [istio-token]
"""
    logged = INGRESS.replace("plugins: opa", 'plugins: "log"')
    log = LOGS.partition("---\napiVersion: configuration.konghq.com/v1\nkind: KongClusterPlugin")[0]
    log = log.replace(", namespace: other", "")
    assert logs_config(_model(AGENT + log + logged)).hidden == ()
    assert logs_config(_model(AGENT + log + logged + rules)).hidden == ("istio-token", "x-istio")
