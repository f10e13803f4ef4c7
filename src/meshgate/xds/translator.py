"""The borders of the store: what translates, and what a translation gives."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from meshgate.xds.dependencies import Reader

R_contra = TypeVar("R_contra", bound=Reader, contravariant=True)
P_contra = TypeVar("P_contra", contravariant=True)


class Translated(Protocol):
    """One resource before it is serialised."""

    @property
    def message(self) -> Message:
        """The xDS message, e.g. a Cluster; not changed after it is handed over.

        A virtual host whose `name` is the resource's name (`<route config>/<host>`) can be removed from
        Envoy; under any other name Envoy 1.40 keeps it until its route configuration goes. Its domains
        must then not overlap with those of another host's answer, or Envoy refuses the later one.
        """
        ...

    @property
    def aliases(self) -> Iterable[str]:
        """Further names the resource is asked for by; VHDS' own name need not be repeated."""
        ...


class Translator(Protocol[R_contra, P_contra]):
    """Model to Envoy, one resource at a time; pure. It must read the model through `reader` only."""

    def wildcard(self, reader: R_contra, proxy: P_contra, type_url: str) -> frozenset[str]:
        """The names that a wildcard subscriber of this proxy gets."""
        ...

    def scope(self, reader: R_contra, proxy: P_contra, type_url: str, name: str) -> Hashable:
        """What of the proxy the resource depends on: proxies of an equal scope share the bytes."""
        ...

    def translate(self, reader: R_contra, proxy: P_contra, type_url: str, name: str) -> Translated | None:
        """The resource; None if there is none of this name for this proxy."""
        ...
