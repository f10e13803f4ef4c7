"""Addresses of servers in plugins that tell of requests."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from meshgate.core.origin import FieldPath
from meshgate.core.secret import Secret
from meshgate.dialects.kong.plugins.config import Report


def web_address(endpoint: Secret | None, field: FieldPath, report: Report) -> Secret | None:
    """Reports a URL that cannot be one, without showing it; gives it back."""
    if endpoint is not None:
        parts_of(endpoint, field, report)
    return endpoint


def parts_of(endpoint: Secret, field: FieldPath, report: Report) -> SplitResult | None:
    """The parts of a URL; reports one that cannot be one, without showing it."""
    text = endpoint.reveal_text()
    try:
        found = urlsplit(text)
        good = found.scheme in ("http", "https") and found.hostname and found.port != 0
        if good and text.isprintable() and " " not in text:
            return found
    except ValueError:
        pass
    report.error(
        "MG2103",
        field,
        "must be a URL with http or https",
        "write it like http://collector.example:8080/path",
    )
    return None
