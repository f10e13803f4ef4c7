"""Kong's `tcp-log`, `udp-log` and `file-log`: a line of JSON for each request (schemas of Kong 3.9.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.dialects.kong.plugins.http_log import LUA, Milliseconds
from meshgate.dialects.schema import fault
from meshgate.model.policies.logs import FileLog, TcpLog, UdpLog

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_PATH = re.compile(r"[^\s*&%\\`][^*&%\\`]*[^\s*&%\\`]")
"""As in Kong."""


def _host(text: str) -> str:
    if not _HOST.fullmatch(text) or len(text) > 253:
        raise fault("MG2103", "must be a host's name or an address")
    return text


def _path(text: str) -> str:
    if not _PATH.fullmatch(text) or not text.isprintable():
        raise fault("MG2103", "must be the path of a file")
    return text


Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
FilePath = Annotated[str, AfterValidator(_path)]


class _LineConfig(Config):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"custom_fields_by_lua": LUA}


class UdpLogConfig(_LineConfig):
    """Every field of `udp-log`."""

    host: Host
    port: Port
    timeout: Milliseconds = 10_000


class TcpLogConfig(UdpLogConfig):
    """Every field of `tcp-log`."""

    keepalive: Milliseconds = 60_000
    tls: bool = False
    tls_sni: Annotated[str, AfterValidator(_host)] | None = None


class FileLogConfig(_LineConfig):
    """Every field of `file-log`."""

    path: FilePath
    reopen: bool = False


def lower_udp_log(config: UdpLogConfig, report: Report) -> UdpLog:
    """The policy."""
    return UdpLog(host=config.host, port=config.port, timeout_ms=config.timeout, origin=report.origin())


def lower_tcp_log(config: TcpLogConfig, report: Report) -> TcpLog:
    """The policy."""
    return TcpLog(
        host=config.host,
        port=config.port,
        timeout_ms=config.timeout,
        keepalive_ms=config.keepalive,
        tls=config.tls,
        tls_sni=config.tls_sni or "",
        origin=report.origin(),
    )


def lower_file_log(config: FileLogConfig, report: Report) -> FileLog:
    """The policy; a path without a slash at its begin would be somewhere that nobody meant."""
    if not config.path.startswith("/"):
        report.error("MG2103", ("path",), "must be absolute: it begins with a slash")
    return FileLog(path=config.path, reopen=config.reopen, origin=report.origin())
