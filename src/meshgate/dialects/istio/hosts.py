"""Hosts, destinations and `exportTo`: what Istio's traffic kinds name other things by."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from meshgate.dialects.document import is_dns_label, is_dns_name
from meshgate.dialects.schema import Spec, fault
from meshgate.model.route import Destination


def _host(text: str) -> str:
    if is_dns_name(text.lower()):
        return text
    if is_dns_name(text.lower().rpartition(":")[0]):
        raise fault("MG2004", "must be a host name without a port", "put the port into port.number")
    raise fault("MG2004", "must be a host name")


def host_or_wildcard(text: str) -> str:
    """`text` if it is a host, `*` or begins with `*.`; a fault (MG2004) otherwise."""
    if text == "*" or (text.startswith(("*.", "*-")) and is_dns_name(text[2:].lower())):
        return text
    return _host(text)


def _export(text: str) -> str:
    if text not in (".", "*", "~") and not is_dns_label(text):
        raise fault("MG2004", "must be `.`, `*`, `~` or a namespace")
    return text


def _subset(text: str) -> str:
    if text and not is_dns_label(text.lower()):
        raise fault("MG2004", "must be a name of letters, digits and hyphens")
    return text


Host = Annotated[str, AfterValidator(_host)]
HostOrWildcard = Annotated[str, AfterValidator(host_or_wildcard)]
ExportTo = Annotated[str, AfterValidator(_export)]
SubsetName = Annotated[str, AfterValidator(_subset)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]


class PortSelectorSpec(Spec):
    """`port: {number: 80}`."""

    number: PortNumber


class DestinationSpec(Spec):
    """Istio's `Destination`."""

    host: Host
    subset: SubsetName = ""
    port: PortSelectorSpec | None = None

    def lower(self) -> Destination:
        """The destination as written; without a port, `link` takes the one that was asked for."""
        return Destination(host=self.host, port=self.port.number if self.port else 0, subset=self.subset)
