"""Kong's `key-auth` and `basic-auth` where strangers may pass (`anonymous`): one of several ways in.

Envoy's own filters refuse whoever has no valid credential, so here a table says whose a
credential is, and does nothing where it is nobody's. A request that is somebody's already
(Kong: one way in is enough) is left as it is.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.http.composite.v3 import composite_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.matcher.v3 import http_inputs_pb2
from google.protobuf import any_pb2
from xds.core.v3 import extension_pb2 as core_pb2
from xds.type.matcher.v3 import matcher_pb2

from meshgate.model.consumer import Consumer
from meshgate.model.policy import BasicAuth, KeyAuth
from meshgate.policies.anonymous import holds_text, somebody
from meshgate.policies.basic_login import CREDENTIALS, LOGIN_HEADER
from meshgate.policies.consumer_headers import identity_changes
from meshgate.policies.key_auth import config_name
from meshgate.policies.key_in_body import KEY_HEADER
from meshgate.policies.packing import extension, http_filter, switched_on, xds_extension
from meshgate.policies.parts import RouteParts

KEY_FILTER, BASIC_FILTER = "meshgate.key_auth.optional", "meshgate.basic_auth.optional"
Table = dict[str, header_mutation_pb2.HeaderMutation]


def key_filters(policies: tuple[KeyAuth, ...], consumers: tuple[Consumer, ...]) -> tuple[hcm.HttpFilter, ...]:
    """One table for each way to look for keys, off until a route switches it on."""
    ways = {config_name(p): p for p in policies if p.anonymous}
    return tuple(_filter(_key_filter(p), _key_matcher(p, consumers)) for _, p in sorted(ways.items()))


def key_parts(policy: KeyAuth) -> RouteParts:
    """Switches the policy's table on."""
    return RouteParts(filters={_key_filter(policy): _on()}) if policy.anonymous else RouteParts()


def basic_filters(
    policies: tuple[BasicAuth, ...], consumers: tuple[Consumer, ...]
) -> tuple[hcm.HttpFilter, ...]:
    """The table of usernames with passwords, with and without hiding them from the service."""
    hiding = sorted({p.hide_credentials for p in policies if p.anonymous})
    return tuple(_filter(_basic_filter(hide), _basic_matcher(consumers, hide=hide)) for hide in hiding)


def basic_parts(policy: BasicAuth) -> RouteParts:
    """Switches the policy's table on."""
    if not policy.anonymous:
        return RouteParts()
    return RouteParts(filters={_basic_filter(policy.hide_credentials): _on()})


def _key_filter(policy: KeyAuth) -> str:
    return f"{KEY_FILTER}.{config_name(policy)}"


def _basic_filter(hide: bool) -> str:
    return f"{BASIC_FILTER}.hidden" if hide else BASIC_FILTER


def _on() -> any_pb2.Any:
    return switched_on()


def _filter(name: str, matcher: matcher_pb2.Matcher) -> hcm.HttpFilter:
    wrapped = extension_matcher_pb2.ExtensionWithMatcher(
        extension_config=extension("envoy.filters.http.composite", composite_pb2.Composite()),
        xds_matcher=matcher,
    )
    return http_filter(name, wrapped, disabled=True)


def _key_matcher(policy: KeyAuth, consumers: tuple[Consumer, ...]) -> matcher_pb2.Matcher:
    """The first place that has a key decides: header, then query, name by name, as in Kong."""
    places = []
    if policy.key_in_body:
        places.append(
            xds_extension("header", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=KEY_HEADER))
        )
    for name in policy.key_names:
        if policy.key_in_header:
            places.append(
                xds_extension("header", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=name))
            )
        if policy.key_in_query:
            places.append(
                xds_extension("query", http_inputs_pb2.HttpRequestQueryParamMatchInput(query_param=name))
            )
    table: Table = {}
    for consumer in consumers:
        for credential in consumer.keys:
            changes = identity_changes(consumer, credential.id)
            for name in policy.key_names if policy.hide_credentials and policy.key_in_header else ():
                changes.mutations.request_mutations.add(remove=name)
            table[credential.key.reveal_text()] = changes
    return _first(places, table)


def _basic_matcher(consumers: tuple[Consumer, ...], *, hide: bool) -> matcher_pb2.Matcher:
    table: Table = {}
    for consumer in consumers:
        for credential in consumer.basic:
            changes = identity_changes(consumer, credential.username)
            if hide:
                for name in CREDENTIALS:
                    changes.mutations.request_mutations.add(remove=name)
            pair = f"{credential.username}:".encode() + credential.password.reveal()
            text = base64.b64encode(pair).decode()
            # Kong takes either case of the B.
            table[f"Basic {text}"] = table[f"basic {text}"] = changes
    place = xds_extension("header", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=LOGIN_HEADER))
    return _first([place], table)


def _first(places: Iterable[core_pb2.TypedExtensionConfig], table: Table) -> matcher_pb2.Matcher:
    """Of requests that are nobody's, the first place that is not empty is looked up."""
    matcher = matcher_pb2.Matcher()
    listed = matcher.matcher_list.matchers
    before: list[core_pb2.TypedExtensionConfig] = []
    for place in places if table else ():
        rule = listed.add()
        conditions = rule.predicate.and_matcher.predicate
        conditions.add().not_matcher.CopyFrom(somebody())
        conditions.append(holds_text(place))
        for earlier in before:  # Envoy goes on where a table has no such entry
            conditions.add().not_matcher.CopyFrom(holds_text(earlier))
        before.append(place)
        tree = rule.on_match.matcher.matcher_tree
        tree.input.CopyFrom(place)
        for text in sorted(table):
            action = composite_pb2.ExecuteFilterAction(
                typed_config=extension("envoy.filters.http.header_mutation", table[text])
            )
            tree.exact_match_map.map[text].action.CopyFrom(xds_extension("composite", action))
    if not listed:
        # Envoy wants a rule: one for requests that are somebody's and nobody's at once.
        rule = listed.add()
        rule.predicate.and_matcher.predicate.append(somebody())
        rule.predicate.and_matcher.predicate.add().not_matcher.CopyFrom(somebody())
        nothing = extension("envoy.filters.http.header_mutation", header_mutation_pb2.HeaderMutation())
        action = composite_pb2.ExecuteFilterAction(typed_config=nothing)
        rule.on_match.action.CopyFrom(xds_extension("composite", action))
    return matcher
