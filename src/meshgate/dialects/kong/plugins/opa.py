"""Kong's `opa`: the Open Policy Agent decides (documented for Kong 3.9)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from meshgate.dialects.kong.plugins.config import Config, Line, Report
from meshgate.dialects.schema import fault
from meshgate.model.policies.open_policy import Opa


def _path(text: str) -> str:
    if not text.startswith("/") or "//" in text or not text.isascii() or not text.isprintable():
        raise fault("MG2103", "must start with a slash and have no empty segments")
    if set(text) & set(' ?#"<>\\^`{|}'):
        raise fault("MG2103", "must be a path alone, with what it cannot hold escaped")
    return text


class OpaConfig(Config):
    """Every field of the plugin."""

    opa_protocol: Literal["http", "https"] = "http"
    opa_host: Line = "localhost"
    opa_port: Annotated[int, Field(ge=1, le=65535)] = 8181
    opa_path: Annotated[str, AfterValidator(_path)]
    include_service_in_opa_input: bool = False
    include_route_in_opa_input: bool = False
    include_consumer_in_opa_input: bool = False
    include_body_in_opa_input: bool = False
    include_parsed_json_body_in_opa_input: bool = False
    include_uri_captures_in_opa_input: bool = False
    ssl_verify: bool = True


def lower_opa(config: OpaConfig, report: Report) -> Opa:
    """The policy; `link` adds what route and service are to be told."""
    if not config.opa_host:
        report.error("MG2103", ("opa_host",), "must name a host")
    return Opa(
        host=config.opa_host,
        port=config.opa_port,
        path=config.opa_path,
        https=config.opa_protocol == "https",
        ssl_verify=config.ssl_verify,
        include_service=config.include_service_in_opa_input,
        include_route=config.include_route_in_opa_input,
        include_consumer=config.include_consumer_in_opa_input,
        include_body=config.include_body_in_opa_input,
        include_parsed_json_body=config.include_parsed_json_body_in_opa_input,
        include_uri_captures=config.include_uri_captures_in_opa_input,
        origin=report.origin(),
    )
