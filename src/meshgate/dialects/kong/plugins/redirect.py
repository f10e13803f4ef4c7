"""Kong's `redirect`: every request is sent elsewhere (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.dialects.schema import fault
from meshgate.model.policy import Redirection


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        sound = bool(parts.scheme and parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not text.isascii() or not text.isprintable() or " " in text:
        raise fault("MG2103", "must be a full URL like https://example.com/path")
    return text


class RedirectConfig(Config):
    """Every field of the plugin."""

    status_code: Annotated[int, Field(ge=200, le=599)] = 301
    location: Annotated[str, AfterValidator(_url)]
    keep_incoming_path: bool = False


def lower_redirect(config: RedirectConfig, report: Report) -> Redirection:
    """The policy; where the request's path is kept, the location's own is of no use."""
    parts = urlsplit(config.location)
    keep = config.keep_incoming_path
    return Redirection(
        status=config.status_code,
        location=f"{parts.scheme}://{parts.netloc}" if keep else config.location,
        keep_path=keep,
        origin=report.origin(),
    )
