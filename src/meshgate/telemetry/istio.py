"""What Envoy counted, with the labels of Istio's standard metrics (Istio 1.27)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meshgate.model.names import Name
from meshgate.telemetry import kong
from meshgate.telemetry.directory import NOBODY, UNKNOWN, Directory, Where, Who
from meshgate.telemetry.exposition import Exposition, Labels, Sample, read
from meshgate.translate.metrics import FIELDS, PREFIX, REMOVED_TAG, SEPARATOR, TRAFFIC_TAG
from meshgate.translate.names import parse_cluster

_PREFIX = f"envoy_{PREFIX}_"
_KEPT = ("le",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The pod whose proxy was asked."""

    pod: str
    workload: Name
    who: Who
    principal: str
    """Its SPIFFE ID."""

    @property
    def place(self) -> Labels:
        """What tells its series from those of the next pod, as Prometheus' discovery adds it."""
        return ("namespace", self.workload.namespace), ("pod", self.pod)


def add_proxy(text: str, subject: Subject, directory: Directory, found: Exposition) -> None:
    """Adds what a proxy gave: traffic with Istio's labels, the rest with the pod's name."""
    for family, kind, sample in read(text):
        if family.startswith(kong.ENVOY_PREFIX):
            kong.add_counted(family, kind, sample, found)
            continue
        if not family.startswith(_PREFIX):
            place = (*sample.labels, *subject.place)
            found.add(kind, family, (Sample(sample.name, place, sample.value),))
            continue
        labels = _labels(sample, subject, directory, tcp=family.startswith(f"{_PREFIX}tcp_"))
        if labels is not None:
            name = "istio_" + sample.name.removeprefix(_PREFIX)
            family = "istio_" + family.removeprefix(_PREFIX)
            found.add(kind, family, (Sample(name, (*labels, *subject.place), sample.value),))


def _labels(sample: Sample, subject: Subject, directory: Directory, *, tcp: bool) -> Labels | None:
    given = dict(sample.labels)
    fields = _fields(given.pop(TRAFFIC_TAG, ""))
    if fields is None:
        return None
    removed = frozenset(given.pop(REMOVED_TAG, "").split(","))
    kept = tuple((name, given.pop(name)) for name in _KEPT if name in given)
    traffic = _Traffic(fields, subject, directory)
    standard = traffic.tcp_labels() if tcp else traffic.http_labels()
    labels = {name: value or UNKNOWN for name, value in standard if name not in removed}
    # What is left are labels of overrides; `-` is Envoy's word for no value.
    labels.update({name: UNKNOWN if value in ("", "-") else value for name, value in given.items()})
    return (*labels.items(), *kept)


def _fields(text: str) -> dict[str, str] | None:
    parts = text.split(SEPARATOR, len(FIELDS) - 1)
    if len(parts) != len(FIELDS):
        return None
    return {name: "" if part == "-" else part for name, part in zip(FIELDS, parts, strict=True)}


class _Traffic:
    """One kind of traffic of one proxy."""

    def __init__(self, fields: dict[str, str], subject: Subject, directory: Directory) -> None:
        self._fields, self._subject, self._directory = fields, subject, directory
        self._server = fields["reporter"] == "destination"

    def http_labels(self) -> Iterable[tuple[str, str]]:
        grpc = self._fields["grpc_status"]
        yield from self._ends()
        yield "request_protocol", "grpc" if grpc else "http"
        yield "response_code", self._fields["response_code"] or "0"
        if grpc:
            yield "grpc_response_status", grpc
        yield from self._how()

    def tcp_labels(self) -> Iterable[tuple[str, str]]:
        yield from self._ends()
        yield "request_protocol", "tcp"
        yield from self._how()

    def _how(self) -> Iterable[tuple[str, str]]:
        yield "response_flags", self._fields["response_flags"] or "-"
        policy = "mutual_tls" if self._fields["peer"] else "none"
        yield "connection_security_policy", policy if self._server else UNKNOWN

    def _ends(self) -> Iterable[tuple[str, str]]:
        own, peer = self._subject.who, self._peer()
        own_id, peer_id = self._subject.principal if self._fields["peer"] else "", self._fields["peer"]
        source, destination = (peer, own) if self._server else (own, peer)
        source_id, destination_id = (peer_id, own_id) if self._server else (own_id, peer_id)
        where = self._where()
        yield "reporter", self._fields["reporter"]
        yield from _end("source", source, source_id)
        yield from _end("destination", destination, destination_id)
        yield "destination_service", where.service
        yield "destination_service_name", where.name
        yield "destination_service_namespace", where.namespace

    def _peer(self) -> Who:
        if self._server:
            return self._directory.caller(self._fields["peer"]) if self._fields["peer"] else NOBODY
        return self._directory.workload(self._fields["peer_workload"])

    def _where(self) -> Where:
        name = self._fields["server_name"].split("_.", 3)
        if len(name) == 4 and name[0] == "outbound":
            return self._directory.service(name[3])
        cluster = parse_cluster(self._fields["cluster"])
        if cluster is None:
            return Where(name=self._fields["cluster"] or UNKNOWN)
        if cluster.direction == "inbound":
            return self._directory.service_of(str(self._subject.workload), cluster.port)
        return self._directory.service(cluster.host)


def _end(side: str, who: Who, principal: str) -> Iterable[tuple[str, str]]:
    yield f"{side}_workload", who.workload
    yield f"{side}_workload_namespace", who.namespace
    yield f"{side}_principal", principal
    yield f"{side}_app", who.app
    yield f"{side}_version", who.version
    yield f"{side}_canonical_service", who.canonical_service
    yield f"{side}_canonical_revision", who.canonical_revision
    yield f"{side}_cluster", who.cluster
