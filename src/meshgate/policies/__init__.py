"""Policies of edge traffic: one file a policy, each turned into Envoy's own filters.

`CHAIN` is the order in which requests meet them. Policies know the model and Envoy's
filter configuration, never a dialect; `translate` calls them when it builds the gateway.
"""

from meshgate.policies.chain import CHAIN
from meshgate.policies.edge_policies import EdgeFilter, EdgePolicies
from meshgate.policies.parts import RouteParts

__all__ = ["CHAIN", "EdgeFilter", "EdgePolicies", "RouteParts"]
