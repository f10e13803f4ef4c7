"""JSON for services that speak gRPC: what describes a service, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import BUILT_IN, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoFile:
    """A `.proto` file; what it imports is looked for beside it and in `folder`."""

    path: str
    folder: str
    """Of the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoConfigMap:
    """A ConfigMap with `.proto` texts, or with a compiled descriptor set in `binaryData`."""

    namespace: str
    name: str
    key: str = ""
    """Empty: its only one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoReflection:
    """What a ready pod of the route's service says of itself (gRPC server reflection)."""

    host: str = ""
    """Full name of the service; empty until `link` knows the route."""
    port: int = 0


ProtoSource = ProtoFile | ProtoConfigMap | ProtoReflection


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcoding:
    """How JSON becomes gRPC and back."""

    source: ProtoSource
    every_method: bool = False
    """Each method can be called by `POST /package.Service/Method` too, whatever its `google.api.http`."""
    print_defaults: bool = True
    """Fields that have their default are written too."""
    enums_as_numbers: bool = False
    json_names: bool = False
    """`lowerCamelCase` in answers; else names as the `.proto` has them."""
    newline_delimited: bool = False
    """Streams are one object per line; else a JSON array."""
    server_sent_events: bool = False
    refuse_unknown_query: bool = False
    """400 for query parameters that the message has no field for; else they have no effect."""

    @property
    def key(self) -> str:
        """Names the description among all others; the same text means the same one."""
        every = "/every-method" if self.every_method else ""
        match self.source:
            case ProtoFile(path=path, folder=folder):
                return f"file/{folder}/{path}{every}"
            case ProtoConfigMap(namespace=namespace, name=name, key=key):
                return f"configmap/{namespace}/{name}/{key}{every}"
            case ProtoReflection(host=host, port=port):
                return f"reflection/{host}:{port}{every}"
            case _:
                assert_never(self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcGateway:
    """Kong's `grpc-gateway`: REST becomes gRPC as the methods' `google.api.http` says."""

    transcoding: Transcoding
    ref: ObjectRef
    """The plugin's object, to be named where its description cannot be had."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcWeb:
    """Kong's `grpc-web`: browsers' gRPC becomes gRPC."""

    allow_origin: str = "*"
    transcoding: Transcoding | None = None
    """For requests in JSON."""
    ref: ObjectRef | None = None
    """The plugin's object, where there is `transcoding`."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoDescriptor:
    """A description that Envoy takes."""

    content: bytes
    """A `FileDescriptorSet`, files after what they import."""
    services: tuple[str, ...]
    """Full names."""


def transcoding_plugin(policies: Iterable[object]) -> GrpcGateway | GrpcWeb | None:
    """The one whose `transcoding` a route follows: `grpc-gateway` goes before `grpc-web`."""
    found = [p for p in policies if isinstance(p, GrpcGateway | GrpcWeb) and p.transcoding is not None]
    return next((p for p in found if isinstance(p, GrpcGateway)), found[0] if found else None)


def described(policies: Iterable[object]) -> Transcoding | None:
    """How JSON becomes gRPC where these policies hold; None where it does not."""
    found = transcoding_plugin(policies)
    return found.transcoding if found is not None else None
