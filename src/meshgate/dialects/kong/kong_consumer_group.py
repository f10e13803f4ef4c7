"""KongConsumerGroup: plugins for all consumers that are in it."""

from __future__ import annotations

from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kong.consumer_annotations import read_plugin_names
from meshgate.dialects.kong.ingress_class import is_ours
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check
from meshgate.model.declared import ConsumerGroupObject, Declared
from meshgate.model.names import Name


class GroupDetails(Spec):
    name: str = ""
    """Of the group in Kong; here its object's name tells it."""


class KongConsumerGroup(ObjectSpec):
    spec: GroupDetails = GroupDetails()


def lower_kong_consumer_group(document: Document) -> Lowered:
    """A group with the names of its plugins."""
    value, said = check(KongConsumerGroup, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    plugin_names, plugins_origin = read_plugin_names(value.metadata.annotations, document, said)
    if not is_ours(value.metadata.annotations, document, said):
        return Lowered(diagnostics=tuple(said))
    group = ConsumerGroupObject(
        ref=document.ref,
        name=Name(document.namespace, document.ref.name),
        plugin_names=plugin_names,
        plugins_origin=plugins_origin,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(consumer_groups=(group,)), diagnostics=tuple(said))


KONG_CONSUMER_GROUP = KindParser(
    group="configuration.konghq.com",
    kind="KongConsumerGroup",
    versions=frozenset({"v1beta1"}),
    namespaced=True,
    lower=lower_kong_consumer_group,
    plural="kongconsumergroups",
    short_names=("kcg",),
)
