"""The types that join the xDS store to our model and translator."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace

from google.protobuf.message import Message

from meshgate.model.graph import Model, diff
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.pipeline import TRANSLATOR
from meshgate.xds.server import Server
from meshgate.xds.store import Store, Wiring

EdgeStore = Store[Model, Reader, Proxy]
XdsServer = Server[Model, Reader, Proxy]


@dataclass(frozen=True, slots=True)
class Translation:
    """A resource and the further names that it is asked for by (none of ours has any)."""

    message: Message
    aliases: tuple[str, ...] = ()


class StoreTranslator:
    """The pipeline's translator as the store wants it."""

    def wildcard(self, reader: Reader, proxy: Proxy, type_url: str) -> frozenset[str]:
        return TRANSLATOR.wildcard(reader, proxy, type_url)

    def scope(self, reader: Reader, proxy: Proxy, type_url: str, name: str) -> Hashable:
        return TRANSLATOR.scope(reader, proxy, type_url, name)

    def translate(self, reader: Reader, proxy: Proxy, type_url: str, name: str) -> Translation | None:
        message = TRANSLATOR.translate(reader, proxy, type_url, name)
        return None if message is None else Translation(message)


def empty_model() -> Model:
    """A model without anything, to start from."""
    return Model(
        services={},
        backends={},
        mesh_hosts={},
        destinations={},
        workloads={},
        inbound={},
        edge_hosts={},
        certificates={},
        consumers={},
    )


def with_facet(model: Model, facet: str, entries: Mapping[str, object]) -> Model:
    """The model with one facet replaced."""
    return replace(model, **{facet: entries})  # type: ignore[arg-type]


def make_store() -> EdgeStore:
    """A store over an empty model."""
    wiring: Wiring[Model, Reader, Proxy] = Wiring(
        translator=StoreTranslator(), reader=Reader, diff=diff, with_facet=with_facet
    )
    return Store(wiring, empty_model())
