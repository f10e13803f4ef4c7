"""KongConsumer: who a key or a token belongs to."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kong.consumer_annotations import read_plugin_names
from meshgate.dialects.kong.ingress_class import is_ours
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, check, fault, problem
from meshgate.model.declared import ConsumerObject, Declared
from meshgate.model.names import Name


def _header_text(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise fault("MG2002", "must be text that a header can hold: one line, no spaces around it")
    return text


def _secret_name(text: str) -> str:
    if not is_dns_name(text):
        raise fault("MG2004", "must be the name of a Secret in the same namespace")
    return text


HeaderText = Annotated[str, AfterValidator(_header_text)]
"""The service that is called gets it in X-Consumer-Username or X-Consumer-Custom-ID."""


class KongConsumer(ObjectSpec):
    """The object; it has no `spec`."""

    username: HeaderText = ""
    custom_id: Annotated[HeaderText, Field(alias="custom_id")] = ""
    credentials: Items[Annotated[str, AfterValidator(_secret_name)]] = ()
    consumer_groups: Items[str] = ()


def lower_kong_consumer(document: Document) -> Lowered:
    """A consumer with the names of its credentials, which `link` reads (MG2003, MG2005)."""
    value, said = check(KongConsumer, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    plugin_names, plugins_origin = read_plugin_names(value.metadata.annotations, document, said)
    if not is_ours(value.metadata.annotations, document, said):
        return Lowered(diagnostics=tuple(said))
    if not (value.username or value.custom_id):
        said.append(problem(document, "MG2003", ("username",), "is required where there is no custom_id"))
    consumer = ConsumerObject(
        ref=document.ref,
        name=Name(document.namespace, document.ref.name),
        username=value.username,
        custom_id=value.custom_id,
        credentials=tuple(dict.fromkeys(value.credentials)),
        groups=tuple(dict.fromkeys(value.consumer_groups)),
        plugin_names=plugin_names,
        plugins_origin=plugins_origin,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(consumers=(consumer,)), diagnostics=tuple(said))


KONG_CONSUMER = KindParser(
    group="configuration.konghq.com",
    kind="KongConsumer",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower_kong_consumer,
    plural="kongconsumers",
    short_names=("kc",),
)
