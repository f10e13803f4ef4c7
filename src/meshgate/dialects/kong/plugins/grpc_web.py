"""Kong's `grpc-web`: browsers speak gRPC (schema of Kong 3.9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from meshgate.dialects.kong.plugins.config import Config, Line, Report
from meshgate.model.policy import GrpcWeb


class GrpcWebConfig(Config):
    """Every field of the plugin."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "proto": "clients must send protobuf; JSON is not made into it",
        "pass_stripped_path": "the path that the service sees is as konghq.com/strip-path says",
    }

    allow_origin_header: Line = "*"


def lower_grpc_web(config: GrpcWebConfig, report: Report) -> GrpcWeb:
    """The policy."""
    return GrpcWeb(allow_origin=config.allow_origin_header.replace("%", "%%"), origin=report.origin())
