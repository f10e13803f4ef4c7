"""Kong's `grpc-gateway`: REST for services that speak gRPC (schema of Kong 3.9.3)."""

from __future__ import annotations

from meshgate.dialects.kong.plugins.config import Config, Line, Report
from meshgate.dialects.kong.plugins.proto_source import CONFIG_MAP, REFLECTION, transcoding
from meshgate.model.policies.grpc import ProtoFile, Transcoding
from meshgate.model.policy import GrpcGateway


class GrpcGatewayConfig(Config):
    """Every field of the plugin."""

    proto: Line = ""


def lower_grpc_gateway(config: GrpcGatewayConfig, report: Report) -> GrpcGateway:
    """The policy; without anything that describes the service it is an error (MG2003)."""
    found = transcoding(config.proto, report)
    if found is None and not report.said:
        report.error(
            "MG2003",
            ("proto",),
            "nothing says which methods the service has",
            f'name a .proto file, or annotate the plugin with {CONFIG_MAP} or {REFLECTION}: "true"',
        )
    nothing = Transcoding(source=ProtoFile(path="", folder=""))
    return GrpcGateway(transcoding=found or nothing, ref=report.document.ref, origin=report.origin())
