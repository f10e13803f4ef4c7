"""What Kong's `opa` tells of a route and its service. Internal to `link`.

Both have the ids and names that Kong's ingress controller gives them, as far as there is something to say.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace

from meshgate.model.declared import EdgeRules
from meshgate.model.policies.open_policy import Opa

_NAMESPACE = uuid.UUID("6d657368-6761-5465-8000-656e74697479")
"""Of the ids of entities; any fixed value would do."""


def told_by_opa(policy: Opa, rules: EdgeRules, route_label: str, service_label: str) -> Opa:
    """The policy with what its input says of the route and of the service, where it is to say it."""
    service = {"id": _id("service", service_label), "name": service_label}
    route = {
        "id": _id("route", route_label),
        "name": route_label,
        "strip_path": rules.strip_path,
        "preserve_host": rules.preserve_host,
        "protocols": ["https"] if rules.https_only is not None else ["http", "https"],
        "service": {"id": service["id"]},
    }
    if rules.methods:
        route["methods"] = list(rules.methods)
    return replace(
        policy,
        service=json.dumps(service) if policy.include_service else "",
        route=json.dumps(route) if policy.include_route else "",
    )


def _id(kind: str, label: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{kind}/{label}"))
