"""All that the gateway's filters must know, and what each entry of their chain may contribute."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.core.origin import BUILT_IN
from meshgate.model.consumer import Consumer
from meshgate.model.edge import EdgeHost
from meshgate.model.policies.bridged import BRIDGED, OpenIdConnect
from meshgate.model.policies.grpc import ProtoDescriptor
from meshgate.model.policy import KeyAuth, Policy, ProxyCache, RateLimit
from meshgate.policies import bridge, key_auth, proxy_cache
from meshgate.policies.consumer_headers import identity_values
from meshgate.policies.parts import RouteParts

P = TypeVar("P", bound=Policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePolicies:
    """All that the gateway's filters must know: who may come, and every policy in use."""

    consumers: tuple[Consumer, ...]
    policies: tuple[Policy, ...]
    """Each once, in an order that does not depend on the input's."""
    https_port: int = 443
    """Where HTTPS is served; 0: nowhere."""
    native_filters: bool = False
    """Whether the proxy has our own filters (`native`)."""
    guarded: bool = False
    """Whether Istio's policies stand behind authentication; only where routes are made."""
    descriptors: Mapping[str, ProtoDescriptor] = field(default_factory=dict)
    """What services speak, by `Transcoding.key`; only where routes are made."""
    cors_echoes: bool = False
    """Whether a rule that is no plugin's allows browsers to send what they ask for."""
    claims_choose: bool = False
    """Whether a route asks for a claim of a token."""
    consumers_digest: str = ""
    """Stands for all that is told of consumers; empty where no policy has it repeated."""
    classes: Mapping[str, str] = field(default_factory=dict)
    """Consumer's id -> the class of consumers whose routes are other ones; empty where none are."""

    @classmethod
    def collect(cls, consumers: Mapping[str, Consumer], hosts: Mapping[str, EdgeHost]) -> EdgePolicies:
        """The distinct policies of all rules."""
        found: dict[str, Policy] = {}
        for host in sorted(hosts):
            for rule in hosts[host].rules:
                for policy in rule.every_policy:
                    found[parts_key(policy)] = policy
        claims = any(
            h.is_claim for host in hosts.values() for r in host.rules for m in r.matches for h in m.headers
        )
        return cls(
            consumers=tuple(consumers[key] for key in sorted(consumers)),
            policies=tuple(found[key] for key in sorted(found)),
            claims_choose=claims,
            consumers_digest=_digest(consumers, found.values()),
            classes={
                consumer: members.name
                for host in hosts.values()
                for rule in host.rules
                for variant in rule.variants
                for members in variant.classes
                for consumer in members.consumers
            },
            cors_echoes=any(r.cors is not None and r.cors.echoes for h in hosts.values() for r in h.rules),
        )

    @property
    def varies(self) -> bool:
        """Whether a route is another one for some consumers."""
        return bool(self.classes)

    def of(self, kind: type[P]) -> tuple[P, ...]:
        """Those of one kind."""
        return tuple(p for p in self.policies if isinstance(p, kind))


def _digest(consumers: Mapping[str, Consumer], policies: Iterable[Policy]) -> str:
    """Costs as much as there are consumers, so it is made only where somebody wants it."""
    if not any(isinstance(p, OpenIdConnect) and p.mapping.consumer_claims for p in policies):
        return ""
    told = [sorted(identity_values(consumers[key], "").items()) for key in sorted(consumers)]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:20]


def parts_key(policy: Policy) -> str:
    """A text that tells two policies apart, whatever file and line they come from."""
    match policy:
        case RateLimit():
            return f"rate-limit/{policy.rule_id}"
        case KeyAuth():
            return f"key-auth/{key_auth.config_name(policy)}/{policy.anonymous}"
        case ProxyCache():
            return f"cache/{proxy_cache.rule_id(policy)}"
        case _ if isinstance(policy, BRIDGED):
            return f"bridge/{bridge.rule_id((policy,))}"
        case _:
            return repr(replace(policy, origin=BUILT_IN))


class EdgeFilter(Protocol):
    """One entry of the chain: what it puts on the listener, and what on a route."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        """The filters; empty where nothing in use needs them."""
        ...

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        """What a route with these policies adds."""
        ...

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        """The gateway's own answers that are this entry's."""
        ...
