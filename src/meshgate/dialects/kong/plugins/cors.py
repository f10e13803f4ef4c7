"""Kong's `cors`: which web origins may call (schema of Kong 3.9.3)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, Line, Report, ShownHeaderName
from meshgate.dialects.re2 import regex_problem
from meshgate.dialects.schema import Items, show
from meshgate.model.policy import CrossOrigin

Method = Literal["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"]

_LITERAL = re.compile(r"[A-Za-z0-9.:/-]+")
_DEFAULT_PORT = re.compile(r"(?<=^http:)(//.*):80$|(?<=^https:)(//.*):443$")


class CorsConfig(Config):
    """Every field of the plugin."""

    origins: Items[Line] = ()
    headers: Items[ShownHeaderName] = ()
    exposed_headers: Items[ShownHeaderName] = ()
    methods: Items[Method] = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT")
    max_age: Annotated[int, Field(ge=-1, le=2**31 - 1)] | None = None
    credentials: bool = False
    private_network: bool = False
    preflight_continue: bool = False
    allow_origin_absent: bool = True


def lower_cors(config: CorsConfig, report: Report) -> CrossOrigin:
    """The policy; origins are a `*`, one literal that all are told, or a choice."""
    origins = tuple(dict.fromkeys(config.origins))
    any_origin = not origins or "*" in origins
    fixed = origins[0] if len(origins) == 1 and _LITERAL.fullmatch(origins[0]) else ""
    choice = (
        () if any_origin or fixed else tuple(_pattern(o, i, report) for i, o in enumerate(config.origins))
    )
    if config.preflight_continue and choice:
        report.warn(
            "MG1103",
            ("preflight_continue",),
            "where the origin decides, the gateway answers preflights by itself",
            "name one origin, or remove it",
        )
    return CrossOrigin(
        any_origin=any_origin,
        fixed_origin=fixed,
        origins=choice,
        methods=config.methods,
        headers=config.headers,
        exposed_headers=config.exposed_headers,
        max_age_s=config.max_age,
        credentials=config.credentials,
        private_network=config.private_network,
        preflight_continue=config.preflight_continue and not choice,
        allow_origin_absent=config.allow_origin_absent,
        origin=report.origin(),
    )


def _pattern(origin: str, index: int, report: Report) -> str:
    """An RE2 for the whole Origin header; Kong's expressions without a colon mean the host alone."""
    at = ("origins", index)
    if _LITERAL.fullmatch(origin):
        if "://" not in origin:
            report.warn(
                "MG2103", at, f"is no origin, so none is equal to it: {show(origin)}", "add its scheme"
            )
        return re.escape(_DEFAULT_PORT.sub(r"\1\2", origin))
    pattern = origin.removeprefix("^").removesuffix("$")
    wrong = regex_problem(pattern)
    if wrong:
        report.error("MG2103", at, f"{wrong}, got {show(origin)}")
    return f"(?:{pattern})" if ":" in origin else rf"(?:[a-z][a-z0-9+.-]*://)?(?:{pattern})(?::\d+)?"
