"""What spans of a request are made of: ids that the gateway's program noted, and what Envoy says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from envoy.config.core.v3 import address_pb2, base_pb2
from envoy.data.accesslog.v3 import accesslog_pb2 as pb
from google.protobuf.duration_pb2 import Duration

from meshgate.bridge.redaction import Redaction
from meshgate.bridge.tools import Directory
from meshgate.model.policies.logs import LoggedRoute
from meshgate.policies.consumer_headers import CONSUMER_ID, CREDENTIAL_ID
from meshgate.policies.traces import NAMESPACE, SAMPLED

_VERSIONS = {2: "1.1", 3: "2.0", 4: "3.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """Of one plugin's spans, in hexadecimal digits."""

    trace: str
    span: str
    """The request's."""
    parent: str
    """The client's; empty where the trace begins here."""
    child: str
    """The call's to the service, whose id the service is told."""
    attempt: str
    """The last try's of that call."""
    tags: str
    path: str
    host: str
    """As the client asked for it, without a port."""


def noted_ids(entry: pb.HTTPAccessLogEntry, plugin: str) -> Ids | None:
    """The ids that a plugin noted; None where the request is no sample for it."""
    noted = entry.common_properties.metadata.filter_metadata
    if NAMESPACE not in noted:
        return None
    record = noted[NAMESPACE].fields.get(plugin)
    if record is None or SAMPLED not in record.struct_value.fields:
        return None
    fields = record.struct_value.fields

    def text(name: str) -> str:
        return fields[name].string_value if name in fields else ""

    return Ids(
        trace=text("trace"),
        span=text("span"),
        parent=text("parent"),
        child=text("child"),
        attempt=text("try"),
        tags=_unicode(text("tags")),
        path=_unicode(text("path")),
        host=_without_port(_unicode(text("host"))),
    )


def _unicode(noted: str) -> str:
    """Undoes what the program does to bytes beyond ASCII."""
    return noted if noted.isascii() else noted.encode("latin-1", "replace").decode("utf-8", "replace")


def _without_port(authority: str) -> str:
    host, _, port = authority.rpartition(":")
    return host if port.isdecimal() and host else authority


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Nanoseconds since 1970."""

    began: int
    called: int
    """The service's first byte was sent; the end, where it was not called."""
    answered: int
    """Its first byte came."""
    heard: int
    """Its last byte came."""
    told: int
    """The client's first byte was sent."""
    ended: int


class Traced:
    """One request of one route."""

    def __init__(
        self,
        entry: pb.HTTPAccessLogEntry,
        route: LoggedRoute,
        directory: Directory,
        redaction: Redaction,
    ) -> None:
        self._entry, self.route, self._directory = entry, route, directory
        self._redaction = redaction

    @cached_property
    def moments(self) -> Moments:
        """Each at least the one before it."""
        common = self._entry.common_properties
        began = common.start_time.ToNanoseconds()
        ended = began + _nanoseconds(common.duration)
        called = began + _nanoseconds(common.time_to_first_upstream_tx_byte) if self.called else ended
        answered = max(called, began + _nanoseconds(common.time_to_first_upstream_rx_byte))
        return Moments(
            began=began,
            called=called,
            answered=answered,
            heard=max(answered, began + _nanoseconds(common.time_to_last_upstream_rx_byte)),
            told=max(answered, began + _nanoseconds(common.time_to_first_downstream_tx_byte)),
            ended=max(ended, answered),
        )

    @property
    def called(self) -> bool:
        """Whether a service was."""
        return bool(self.upstream[0])

    @cached_property
    def upstream(self) -> tuple[str, int]:
        """Who answered last."""
        return _address(self._entry.common_properties.upstream_remote_address)

    @cached_property
    def client(self) -> tuple[str, int]:
        """The client, whoever stands before the gateway."""
        return _address(self._entry.common_properties.downstream_remote_address)

    @property
    def peer_ip(self) -> str:
        """Who is connected to the gateway."""
        return _address(self._entry.common_properties.downstream_direct_remote_address)[0]

    @property
    def attempts(self) -> int:
        """How often the service was called."""
        return max(int(self._entry.common_properties.upstream_request_attempt_count), 1)

    @property
    def method(self) -> str:
        """GET, ..."""
        return str(base_pb2.RequestMethod.Name(self._entry.request.request_method))

    @property
    def scheme(self) -> str:
        """http or https."""
        return str(self._entry.request.scheme) or "http"

    @property
    def request_id(self) -> str:
        """Envoy's."""
        return str(self._entry.request.request_id)

    @property
    def version(self) -> str:
        """Of HTTP: 1.1, 2.0, ..."""
        return _VERSIONS.get(self._entry.protocol_version, "1.0")

    @property
    def status(self) -> int:
        """The client's; 0 where it went before there was one."""
        return int(self._entry.response.response_code.value)

    def shown(self, path: str) -> str:
        """Path and query, without secrets."""
        return self._redaction.uri(path)

    @property
    def consumer(self) -> str:
        """Id; empty for strangers."""
        found = self._entry.request.request_headers.get(CONSUMER_ID, "")
        return str(found) if found in self._directory.by_id else ""

    @property
    def credential(self) -> str:
        """What the consumer is known by; empty for strangers."""
        return str(self._entry.request.request_headers.get(CREDENTIAL_ID, ""))


def _nanoseconds(time: Duration) -> int:
    return time.ToNanoseconds()


def _address(address: address_pb2.Address) -> tuple[str, int]:
    return address.socket_address.address, address.socket_address.port_value
