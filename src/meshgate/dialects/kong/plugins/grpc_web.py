"""Kong's `grpc-web`: browsers speak gRPC (schema of Kong 3.9.3)."""

from __future__ import annotations

from dataclasses import replace

from meshgate.dialects.kong.plugins.config import Config, Line, Report
from meshgate.dialects.kong.plugins.proto_source import transcoding
from meshgate.model.policy import GrpcWeb


class GrpcWebConfig(Config):
    """Every field of the plugin."""

    proto: Line = ""
    pass_stripped_path: bool = False
    allow_origin_header: Line = "*"


def lower_grpc_web(config: GrpcWebConfig, report: Report) -> GrpcWeb:
    """The policy; with a description of the service, requests may be JSON too."""
    found = transcoding(config.proto, report)
    if config.pass_stripped_path and found is not None:
        report.warn(
            "MG1103",
            ("pass_stripped_path",),
            "requests in JSON are called by the path that the client sends; "
            "of others the service sees the path that konghq.com/strip-path says",
            "let the Ingress's path be `/package.Service`, and leave konghq.com/strip-path out",
        )
    return GrpcWeb(
        allow_origin=config.allow_origin_header.replace("%", "%%"),
        transcoding=replace(found, every_method=True) if found is not None else None,
        ref=report.document.ref if found is not None else None,
        origin=report.origin(),
    )
