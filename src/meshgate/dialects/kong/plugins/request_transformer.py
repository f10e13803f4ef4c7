"""Kong's `request-transformer`: headers, query, path and method (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshgate.core.origin import FieldPath
from meshgate.dialects.kong.plugins import transforms
from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.dialects.schema import Items, show
from meshgate.model.policies.change import FieldChanges
from meshgate.model.policy import RequestTransformer


class Changes(Config):
    """What one step does to each part of the request."""

    body: Items[str] = ()
    headers: Items[str] = ()
    querystring: Items[str] = ()


class Replacements(Changes):
    """The step that can also replace the path."""

    uri: str | None = None


class RequestTransformerConfig(Config):
    """Every field of the plugin."""

    http_method: Annotated[str, Field(pattern=r"^[A-Z]+$")] | None = None
    remove: Changes = Changes()
    rename: Changes = Changes()
    replace: Replacements = Replacements()
    add: Changes = Changes()
    append: Changes = Changes()


def lower_request_transformer(config: RequestTransformerConfig, report: Report) -> RequestTransformer:
    """The policy; bodies, and renamed query parameters, close it (MG1104)."""
    for step in ("remove", "rename", "replace", "add", "append"):
        if getattr(config, step).body:
            _refuse((step, "body"), "bodies are not changed here", report)
    if config.rename.querystring:
        _refuse(("rename", "querystring"), "query parameters are not renamed here", report)
    host, replaced = _host(config.replace.headers)
    return RequestTransformer(
        http_method=config.http_method or "",
        headers=FieldChanges(
            remove=transforms.header_names(config.remove.headers, ("remove", "headers"), report),
            rename=transforms.header_renames(config.rename.headers, ("rename", "headers"), report),
            replace=transforms.header_pairs(replaced, ("replace", "headers"), report),
            add=transforms.header_pairs(config.add.headers, ("add", "headers"), report),
            append=transforms.header_pairs(config.append.headers, ("append", "headers"), report),
        ),
        query=FieldChanges(
            remove=transforms.parameter_names(config.remove.querystring, ("remove", "querystring"), report),
            replace=transforms.parameter_pairs(
                config.replace.querystring, ("replace", "querystring"), report
            ),
            add=transforms.parameter_pairs(config.add.querystring, ("add", "querystring"), report),
            append=transforms.parameter_pairs(config.append.querystring, ("append", "querystring"), report),
        ),
        uri=_uri(config.replace.uri, report),
        host=_plain(host, ("replace", "headers"), report),
        origin=report.origin(),
    )


def _host(entries: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The value of `Host`, and the entries without it: the host is the route's to change."""
    hosts = [e.partition(":")[2].strip() for e in entries if e.lower().replace(" ", "").startswith("host:")]
    rest = tuple(e for e in entries if not e.lower().replace(" ", "").startswith("host:"))
    return (hosts[-1] if hosts else ""), rest


def _uri(uri: str | None, report: Report) -> str:
    text = _plain(uri or "", ("replace", "uri"), report)
    if uri is not None and (not uri.startswith("/") or "?" in uri or "#" in uri):
        report.error("MG2103", ("replace", "uri"), f"must be a path that starts with /, got {show(uri)}")
    return text


def _plain(text: str, at: FieldPath, report: Report) -> str:
    if not text.isprintable() or " " in text:
        report.error("MG2103", at, "must be one word without control characters")
    if "$(" in text:
        _refuse(at, f"the template in {show(text)} is not supported", report)
    return text


def _refuse(at: FieldPath, message: str, report: Report) -> None:
    report.error("MG1104", at, f"{message}; the plugin stays closed", "let the service do it")
