"""Tells services who called: Kong's X-Consumer-* headers, set after authentication only.

A client's own copies are removed before anything else reads the request. Which consumer
a credential belongs to is looked up in Envoy by an exact-match map, whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import quote

from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.http.composite.v3 import composite_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    header_mutation_pb2 as early_pb2,
)
from envoy.type.matcher.v3 import http_inputs_pb2
from google.protobuf.message import Message
from xds.type.matcher.v3 import matcher_pb2

from meshgate.model.consumer import Consumer
from meshgate.model.policy import BasicAuth, JwtAuth, KeyAuth, Policy
from meshgate.policies import basic_auth, jwt, key_auth
from meshgate.policies.native import filter_settings
from meshgate.policies.packing import extension, header, http_filter, switched_on, xds_extension
from meshgate.policies.parts import RouteParts

CONSUMER_ID = "x-consumer-id"
CREDENTIAL_ID = "x-credential-identifier"
AUTHENTICATED_GROUPS = "x-authenticated-groups"
"""Groups that a credential itself says, as Kong writes them for the service."""

IDENTITY_HEADERS = (
    CONSUMER_ID,
    "x-consumer-custom-id",
    "x-consumer-username",
    "x-consumer-groups",
    AUTHENTICATED_GROUPS,
    CREDENTIAL_ID,
    "x-anonymous-consumer",
)
"""Only the gateway may set these (Kong's list)."""

GROUPS = "x-meshgate-groups"
"""The consumer's groups in a form without doubt: `,` before and behind each, all else quoted."""
GROUP_NAMES = "x-meshgate-group-names"
"""The same as Kong writes them, for the service."""
CREDENTIAL_GROUPS = ",&,"
"""Says in `GROUPS` that a consumer's credential says groups too."""
UNKNOWN_GROUP = "!"
"""Stands for groups that could not be read; no quoted name looks like it."""

INTERNAL_HEADERS = (
    jwt.CREDENTIAL_HEADER,
    key_auth.CREDENTIAL_HEADER,
    basic_auth.CREDENTIAL_HEADER,
    GROUPS,
    GROUP_NAMES,
)
"""Only the gateway's own filters may read these; removed again before the service."""

LOOKUPS: Mapping[type[JwtAuth | KeyAuth | BasicAuth], str] = MappingProxyType(
    {
        JwtAuth: "meshgate.consumer.jwt",
        KeyAuth: "meshgate.consumer.key_auth",
        BasicAuth: "meshgate.consumer.basic_auth",
    }
)
"""The filters that know whose a credential is, by the plugin that found it."""

VARIANT = "x-meshgate-variant"
"""Names the variant of a route that is for the consumer; see `variants`."""
ANONYMOUS = "x-meshgate-anonymous"
"""Names the consumer that stands for strangers, between two filters: the lookup removes it."""


def early_removal(more: tuple[str, ...] = ()) -> extension_pb2.TypedExtensionConfig:
    """Removes what a client must not say about itself, before routing and all filters."""
    mutations = [
        mutation_rules_pb2.HeaderMutation(remove=name)
        for name in (*IDENTITY_HEADERS, *INTERNAL_HEADERS, ANONYMOUS, VARIANT, *more)
    ]
    return extension(
        "envoy.http.early_header_mutation.header_mutation", early_pb2.HeaderMutation(mutations=mutations)
    )


def listener_filters(consumers: tuple[Consumer, ...], *, native: bool = False) -> tuple[hcm.HttpFilter, ...]:
    """One lookup per kind of credential that any consumer has, off until a route switches it on."""
    by_jwt = {jwt.credential_text(c.key): (consumer, c.key) for consumer in consumers for c in consumer.jwt}
    by_key = {c.id: (consumer, c.id) for consumer in consumers for c in consumer.keys}
    by_login = {c.username: (consumer, c.username) for consumer in consumers for c in consumer.basic}
    tables = [
        (LOOKUPS[kind], header_name, table)
        for kind, header_name, table in (
            (JwtAuth, jwt.CREDENTIAL_HEADER, by_jwt),
            (KeyAuth, key_auth.CREDENTIAL_HEADER, by_key),
            (BasicAuth, basic_auth.CREDENTIAL_HEADER, by_login),
        )
        if table
    ]
    # Who shows two consumers' credentials is the last of them, and has nothing of the first's.
    return tuple(
        _lookup(name, header_name, table, after_others=i > 0, native=native)
        for i, (name, header_name, table) in enumerate(tables)
    )


def route_parts(policies: tuple[Policy, ...]) -> RouteParts:
    """Switches on the lookups of the credentials that the route may let in by."""
    kinds = sorted(LOOKUPS[kind] for kind in LOOKUPS if any(isinstance(p, kind) for p in policies))
    return RouteParts(filters={name: switched_on() for name in kinds})


def anonymous_lookup(table: dict[str, Consumer], *, native: bool = False) -> hcm.HttpFilter:
    """The lookup of consumers that stand for strangers, by the name in `ANONYMOUS`."""
    of_strangers = {"x-anonymous-consumer": "true", ANONYMOUS: ""}
    changes = {
        name: {**_changes(consumer, "", after_others=True), **of_strangers}
        for name, consumer in table.items()
    }
    return _by_header("meshgate.consumer.anonymous", ANONYMOUS, changes, native=native, disabled=False)


def identity_changes(consumer: Consumer, identifier: str) -> header_mutation_pb2.HeaderMutation:
    """What says that a request is a consumer's, whoever it may have been before."""
    return _mutation(_changes(consumer, identifier, after_others=True))


def _lookup(
    name: str,
    header_name: str,
    table: dict[str, tuple[Consumer, str]],
    *,
    after_others: bool,
    native: bool,
) -> hcm.HttpFilter:
    changes = {key: _changes(*entry, after_others=after_others) for key, entry in table.items()}
    return _by_header(name, header_name, changes, native=native, disabled=True)


def _by_header(
    name: str, header_name: str, changes: dict[str, dict[str, str]], *, native: bool, disabled: bool
) -> hcm.HttpFilter:
    """A filter that does what stands for the header's value, whatever the number of values."""
    if native:
        return http_filter(name, _native_table(header_name, changes), disabled=disabled)
    matcher = matcher_pb2.Matcher()
    tree = matcher.matcher_tree
    tree.input.CopyFrom(
        xds_extension("header", http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=header_name))
    )
    for value in sorted(changes):
        action = composite_pb2.ExecuteFilterAction(
            typed_config=extension("envoy.filters.http.header_mutation", _mutation(changes[value]))
        )
        tree.exact_match_map.map[value].action.CopyFrom(xds_extension("composite", action))
    wrapped = extension_matcher_pb2.ExtensionWithMatcher(
        extension_config=extension("envoy.filters.http.composite", composite_pb2.Composite()),
        xds_matcher=matcher,
    )
    return http_filter(name, wrapped, disabled=disabled)


def _native_table(header_name: str, changes: dict[str, dict[str, str]]) -> Message:
    values: list[str | int] = [header_name, len(changes)]
    for value in sorted(changes):
        values += [value, len(changes[value])]
        for pair in changes[value].items():
            values += pair
    return filter_settings("consumers", values)


def quoted_group(name: str) -> str:
    """A group's name as it stands in `GROUPS`."""
    return f",{quote(name, safe='')},"


def credential_groups(names: Iterable[str]) -> str:
    """Groups that a consumer's credential says, as they stand in `GROUPS` beside the consumer's own; that
    it says any is there too. No other group looks like them."""
    return "".join((CREDENTIAL_GROUPS, *map(quoted_credential_group, names)))


def quoted_credential_group(name: str) -> str:
    """One of these."""
    return f",&{quote(name, safe='')},"


def quoted_consumer_group(name: str) -> str:
    """A KongConsumerGroup's name as it stands in `GROUPS`; no other group looks like it."""
    return f",@{quote(name, safe='')},"


def identity_values(consumer: Consumer | None, identifier: str) -> Mapping[str, str]:
    """Header -> what it says of a consumer with that credential; empty where it must not be there."""
    groups, known = (consumer.groups, consumer.all_groups_known) if consumer else ((), True)
    of_groups = group_values(groups, all_known=known)
    in_groups = "".join(map(quoted_consumer_group, consumer.consumer_groups if consumer else ()))
    return {
        CONSUMER_ID: consumer.id if consumer else "",
        "x-consumer-username": consumer.username if consumer else "",
        "x-consumer-custom-id": consumer.custom_id if consumer else "",
        CREDENTIAL_ID: identifier,
        **of_groups,
        GROUPS: of_groups[GROUPS] + in_groups,
    }


def group_values(groups: Iterable[str], *, all_known: bool = True) -> Mapping[str, str]:
    """Header -> what it says of these groups."""
    names = tuple(groups)
    unknown = () if all_known else (f",{UNKNOWN_GROUP},",)
    # No header can hold a name with a line's end in it; it still counts.
    shown = ", ".join(name for name in names if name.isprintable())
    return {GROUPS: "".join((*unknown, *map(quoted_group, names))), GROUP_NAMES: shown}


def _changes(consumer: Consumer, identifier: str, *, after_others: bool) -> dict[str, str]:
    """Header -> its value; empty: it is removed."""
    values = identity_values(consumer, identifier)
    return {name: value for name, value in values.items() if value or after_others}


def _mutation(changes: Mapping[str, str]) -> header_mutation_pb2.HeaderMutation:
    config = header_mutation_pb2.HeaderMutation()
    for name, value in changes.items():
        if value:
            config.mutations.request_mutations.add(append=header(name, value.replace("%", "%%")))
        else:
            config.mutations.request_mutations.add(remove=name)
    return config
