"""Trust domains that stand for one another in principals (`trustDomainAliases`). Internal to `link`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from meshgate.model.authorization import Attribute, AuthorizationPolicy, Condition
from meshgate.model.names import CLUSTER_DOMAIN, TRUST_DOMAIN


def with_aliases(policy: AuthorizationPolicy, aliases: tuple[str, ...]) -> AuthorizationPolicy:
    """The policy with each principal of the mesh's trust domain, or of an alias, in all of them."""
    if not aliases:
        return policy
    known = tuple(dict.fromkeys((TRUST_DOMAIN, *aliases)))

    def widened(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
        return tuple(
            replace(one, values=_all(one.values, known), not_values=_all(one.not_values, known))
            if one.attribute is Attribute.PRINCIPAL
            else one
            for one in conditions
        )

    rules = tuple(
        replace(rule, sources=tuple(widened(s) for s in rule.sources), when=widened(rule.when))
        for rule in policy.rules
    )
    return policy if rules == policy.rules else replace(policy, rules=rules)


def _all(values: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for value in values:
        domain, slash, rest = value.partition("/")
        same = slash and domain in (CLUSTER_DOMAIN, *known)
        found.update(dict.fromkeys([f"{one}/{rest}" for one in known] if same else [value]))
    return tuple(found)
