"""Destinations of VirtualServices that leave open what is meant."""

from __future__ import annotations

from meshgate.core.findings import Findings
from meshgate.model.declared import Declared, MeshRules
from meshgate.model.graph import Model
from meshgate.model.names import complete_host
from meshgate.model.route import Forward
from meshgate.model.service import AppProtocol, Service


def analyze(declared: Declared, model: Model, advice: Findings) -> None:
    """MG3106: a destination without port whose service has several."""
    for rules in declared.mesh_rules:
        for rule in rules.rules:
            if not isinstance(rule.action, Forward):
                continue
            for entry in rule.action.destinations:
                service = _service(model, entry.destination.host, rules)
                if entry.destination.port or service is None:
                    continue
                numbers = [p.number for p in service.ports if p.protocol is not AppProtocol.UDP]
                if len(numbers) > 1:
                    advice.warn(
                        "MG3106",
                        rule.origin,
                        rules.ref,
                        f"{service.host} has the ports {', '.join(map(str, numbers))} and the destination "
                        "names none: the port that the client asked for counts",
                        "write the port of the destination",
                    )


def _service(model: Model, host: str, rules: MeshRules) -> Service | None:
    full = complete_host(host, rules.namespace)
    return model.services.get(full) or model.entries.get(full)
