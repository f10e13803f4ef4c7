"""Kong's `request-transformer`: headers, query, body, path and method (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshgate.core.origin import FieldPath
from meshgate.dialects.kong.plugins import transforms
from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.dialects.kong.plugins.templates import is_template, read_template
from meshgate.dialects.kong.plugins.transforms import Steps
from meshgate.dialects.schema import Items, show
from meshgate.model.policies.change import RequestScript, Template
from meshgate.model.policy import RequestTransformer

STEPS = ("remove", "rename", "replace", "add", "append")
_WITHOUT_BODY = ("GET", "HEAD", "TRACE")
"""Methods for which a form becomes a part of the query."""


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
    """The policy; all of it is a program's where Envoy's own filters do not suffice for a part."""
    host, replaced = _host(config.replace.headers)
    host = _plain(host, ("replace", "headers"), report)
    headers: Steps = {**_steps(config, "headers"), "replace": replaced}
    query = _steps(config, "querystring")
    body = _steps(config, "body")
    if _needs_script(config, headers, query, body):
        script = RequestScript(
            method=config.http_method or "",
            uri=_uri_template(config.replace.uri, report),
            headers=transforms.scripted(headers, "headers", transforms.is_header, report),
            query=transforms.scripted(query, "querystring", transforms.is_parameter, report),
            body=transforms.scripted(body, "body", transforms.is_member, report),
        )
        return RequestTransformer(host=host, script=script, origin=report.origin())
    return RequestTransformer(
        http_method=config.http_method or "",
        headers=transforms.header_changes(headers, report),
        uri=_uri(config.replace.uri, report),
        host=host,
        origin=report.origin(),
    )


def _steps(config: RequestTransformerConfig, part: str) -> Steps:
    return {step: getattr(getattr(config, step), part) for step in STEPS}


def _needs_script(config: RequestTransformerConfig, headers: Steps, query: Steps, body: Steps) -> bool:
    values = (entry for step in STEPS[2:] for entry in headers[step])
    return (
        any(body.values())
        or any(query.values())
        or config.http_method in _WITHOUT_BODY
        or is_template(config.replace.uri or "")
        or not all(map(transforms.is_simple, values))
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


def _uri_template(uri: str | None, report: Report) -> Template:
    if uri is None or not is_template(uri):
        text = _uri(uri, report)
        return (text,) if text else ()
    found = read_template(uri, ("replace", "uri"), report)
    if found and isinstance(found[0], str) and not found[0].startswith("/"):
        report.error("MG2103", ("replace", "uri"), f"must be a path that starts with /, got {show(uri)}")
    return found


def _plain(text: str, at: FieldPath, report: Report) -> str:
    if not text.isprintable() or " " in text:
        report.error("MG2103", at, "must be one word without control characters")
    if "$(" in text:
        message = f"the template in {show(text)} is not supported here; the plugin stays closed"
        report.error("MG1104", at, message, "let the service do it")
    return text
