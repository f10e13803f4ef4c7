"""The pages that are made from the code: which module makes which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from tests.docs import (
    analysis_page,
    annotations_page,
    cli_page,
    conformance_page,
    diagnostics_page,
    istio_fields_page,
    kinds_page,
    kong_plugins_page,
)
from tests.docs.kind_specs import SPECS
from tests.docs.page_text import head


def _page(top: str, lines: Iterable[str]) -> str:
    return "\n".join((head(top), *lines)).rstrip() + "\n"


def _istio_fields() -> str:
    return _page(istio_fields_page.HEAD, istio_fields_page.lines(SPECS))


def _gateway_api_fields() -> str:
    lines = istio_fields_page.lines(SPECS, istio_fields_page.GATEWAY_API)
    return _page(istio_fields_page.GATEWAY_API_HEAD, lines)


PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "diagnostics.md": lambda: _page(diagnostics_page.HEAD, diagnostics_page.lines()),
        "kinds.md": lambda: _page(kinds_page.HEAD, kinds_page.lines()),
        "kong-plugins.md": lambda: _page(kong_plugins_page.HEAD, kong_plugins_page.lines()),
        "annotations.md": lambda: _page(annotations_page.HEAD, annotations_page.rows()),
        "istio-fields.md": _istio_fields,
        "gateway-api-fields.md": _gateway_api_fields,
        "analyze.md": lambda: _page(analysis_page.HEAD, analysis_page.lines()),
        "gateway-api-conformance.md": conformance_page.page,
        "cli.md": lambda: _page(cli_page.HEAD, cli_page.lines()),
    }
)
"""File in docs/ -> what makes it."""
