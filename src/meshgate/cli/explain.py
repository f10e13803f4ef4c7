"""`meshgate explain`: what a request would meet, and which lines decided it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from meshgate.cli.client import connect
from meshgate.cli.errors import CliError
from meshgate.cli.options import DEFAULT_STATE, AllowLua, OnlyJson, State
from meshgate.cli.printing import get_in, list_in, text_in
from meshgate.core.diagnostics import Severity, ordered
from meshgate.pipeline import build, read_texts
from meshgate.simulate import UnknownCaller, as_json, call, stand_in
from meshgate.simulate.call import GATEWAY
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import ExplainQuery
from meshgate.sources.descriptors import DescriptorFiles
from meshgate.sources.manifests import read_paths

_OUTCOMES = {
    "forward": "goes on to the destination",
    "redirect": "the proxy redirects the client",
    "answer": "the proxy answers by itself",
    "refuse": "is refused",
    "tcp": "bytes are carried, requests are not looked at",
    "outside": "leaves the mesh as it is",
}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(explain)


def explain(
    method: Annotated[
        str, typer.Argument(metavar="METHOD", help="GET, POST, ...; GET where only a URL is given.")
    ] = "",
    url: Annotated[str, typer.Argument(metavar="URL", help="As the client would write it.")] = "",
    header: Annotated[
        list[str] | None, typer.Option("-H", "--header", metavar="'K: V'", help="May be repeated.")
    ] = None,
    origin: Annotated[
        str, typer.Option("--from", metavar="DEPLOYMENT[.NS]", help="Who asks; without it: from outside.")
    ] = "",
    paths: Annotated[
        list[str] | None, typer.Option("-f", "--filename", metavar="PATH", help="Of files; nothing runs.")
    ] = None,
    output: Annotated[OnlyJson | None, typer.Option("-o", "--output", help="For programs.")] = None,
    state: State = DEFAULT_STATE,
    allow_lua: AllowLua = False,
) -> None:
    """Show what a request would meet, with file and line.

    Listener, rule, policies, destinations, and what comes of it.

    Nothing is sent. Whether a token's signature is right and a limit is used up, only Envoy can tell.

    Examples: meshgate explain http://shop.example.com/; meshgate explain POST http://pay/ --from web.
    """
    if not url and set(method) & set("./:"):
        method, url = "GET", method
    query = ExplainQuery(method=method.upper(), url=url, headers=_headers(header or []), origin=origin)
    _check(url)
    found = _offline(query, paths, allow_lua=allow_lua) if paths else _running(query, state)
    if output is OnlyJson.JSON:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{query.method} {_with_scheme(url)}  from {origin or 'outside'}", markup=False, style="bold"
    )
    for title, text, place in _lines(found):
        console.print(f"  {title:<14}{text}", end="" if place else "\n", markup=False)
        if place:
            console.print(f"  {place}", markup=False, style="dim")


def _check(url: str) -> None:
    remedy = "write it like http://api.example.com/path"
    try:
        parts = urlsplit(_with_scheme(url))
    except ValueError as error:
        raise CliError(f"{url!r} is no URL: {error}", remedy) from error
    if parts.scheme not in ("http", "https"):
        raise CliError(f"{url!r} is neither http nor https", remedy)
    if not parts.netloc:
        raise CliError(f"{url!r} names no host" if url else "say which request", remedy)


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"http://{url}"


def _headers(written: list[str]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in written:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise CliError(f"the header {text!r} has no colon", "write -H 'name: value'")
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)


def _running(query: ExplainQuery, state: Path) -> Mapping[str, object]:
    with connect(state) as client:
        return client.call(wire.EXPLAIN, query).value


def _offline(query: ExplainQuery, paths: list[str], *, allow_lua: bool) -> Mapping[str, object]:
    """On files alone, with invented pods; errors of the files go to the standard error."""
    texts, unreadable = read_paths(paths)
    documents, unread = read_texts(texts)
    built = build(documents, allow_lua=allow_lua)
    descriptors, undescribed = DescriptorFiles().read(built.model, built.declared)
    for diagnostic in ordered((*unreadable, *unread, *built.diagnostics, *undescribed)):
        if diagnostic.severity is Severity.ERROR:
            typer.echo(str(diagnostic), err=True)
    url = urlsplit(_with_scheme(query.url))
    try:
        verdict = call(
            stand_in(replace(built.model, descriptors=descriptors)),
            query.method,
            url.netloc.rpartition("@")[2],
            (url.path or "/") + (f"?{url.query}" if url.query else ""),
            query.headers,
            scheme=url.scheme,
            proxy=query.origin or GATEWAY,
        )
    except UnknownCaller as error:
        raise CliError(str(error)) from error
    return as_json(verdict)


Line = tuple[str, str, str]
"""(title, text, file:line:column or nothing)."""


def _lines(found: Mapping[str, object]) -> Iterator[Line]:
    host = text_in(found, "virtual_host", default="")
    if listener := text_in(found, "listener", default=""):
        proxy = text_in(found, "proxy", default="")
        yield "listener", f"{listener} of {proxy}" + (f", virtual host {host}" if host else ""), ""
    if get_in(found, "rule"):
        yield "rule", text_in(found, "rule", "name"), _place(get_in(found, "rule", "origin"))
        if get_in(found, "rule", "edge_origin"):
            yield "", "reached through the path of the Ingress", _place(get_in(found, "rule", "edge_origin"))
    for policy in list_in(found, "policies"):
        who = text_in(policy, "consumer", default="")
        says = text_in(policy, "says") + (f"; the consumer is {who}" if who else "")
        yield text_in(policy, "kind"), says, _place(get_in(policy, "origin"))
    yield from _fault(get_in(found, "fault"))
    for reached in list_in(found, "destinations"):
        yield "to", _destination(reached), _place(get_in(reached, "subset_origin"))
        for place in list_in(reached, "places"):
            yield "", _locality(place), ""
        for limit in list_in(reached, "limits"):
            yield "limit", str(limit), _place(get_in(reached, "limits_origin"))
    yield from _sent(get_in(found, "sent"), text_in(found, "path", default=""))
    yield "so", _conclusion(found), ""


def _place(origin: object) -> str:
    if not isinstance(origin, Mapping):
        return ""
    line = get_in(origin, "line")
    file = text_in(origin, "file")
    return f"{file}:{line}:{get_in(origin, 'column')}" if line else file


def _destination(reached: object) -> str:
    host = text_in(reached, "host", default="") or text_in(reached, "cluster")
    port, subset = get_in(reached, "port"), text_in(reached, "subset", default="")
    text = f"{_number(get_in(reached, 'percent'))}%  {host}{f':{port}' if port else ''}"
    if subset:
        labels = get_in(reached, "labels")
        shown = ", ".join(f"{k}={v}" for k, v in labels.items()) if isinstance(labels, Mapping) else ""
        text += f" subset {subset}" + (f" ({shown})" if shown else "")
    if problem := text_in(reached, "problem", default=""):
        return f"{text}: 503, {problem}"
    if port:
        text += f", {get_in(reached, 'endpoints')} ready, {text_in(reached, 'tls')}"
    peers = [str(peer) for peer in list_in(reached, "peers")]
    return text + (f" with {' or '.join(peers)}" if peers and get_in(reached, "tls") != "plaintext" else "")


def _locality(place: object) -> str:
    where, priority = text_in(place, "locality", default="") or "nowhere", get_in(place, "priority")
    share = f"{_number(get_in(place, 'percent'))}%" if priority == 0 else f"priority {priority}"
    return f"  {where}: {share}, {get_in(place, 'endpoints')} ready"


def _fault(fault: object) -> Iterator[Line]:
    if fault is None:
        return
    delay, abort = get_in(fault, "delay_ms"), get_in(fault, "abort_status")
    if delay:
        yield "fault", f"{_number(get_in(fault, 'delay_percent'))}% wait {delay} ms", ""
    if abort:
        grpc = get_in(fault, "abort_grpc")
        status = abort if grpc is None else f"gRPC status {grpc}"
        yield "fault", f"{_number(get_in(fault, 'abort_percent'))}% get {status}", ""


def _sent(sent: object, matched: str) -> Iterator[Line]:
    if sent is None:
        return
    path = text_in(sent, "path")
    rewritten = f" (from {matched})" if path != matched else ""
    yield "sent as", f"{path}{rewritten}, host {text_in(sent, 'authority')}", ""
    timeout, retries = get_in(sent, "timeout_ms"), get_in(sent, "retries")
    limits = f"timeout {timeout} ms" if timeout else "no timeout"
    limits += f", {retries} retries on {text_in(sent, 'retry_on')}" if retries else ", no retries"
    hashed = text_in(sent, "hash_on", default="")
    yield "", limits + (f", endpoint chosen by {hashed}" if hashed else ""), ""
    for change in (*list_in(sent, "request_headers"), *list_in(sent, "response_headers")):
        yield "header", str(change), ""
    for mirror in list_in(sent, "mirrors"):
        yield "copied to", f"{get_in(mirror, 0)} ({_number(get_in(mirror, 1))}%)", ""


def _conclusion(found: Mapping[str, object]) -> str:
    status, reason = get_in(found, "status"), text_in(found, "reason", default="")
    text = _OUTCOMES[text_in(found, "outcome")]
    text += f" with {status}" if status else ""
    location = text_in(found, "location", default="")
    return text + (f" to {location}" if location else "") + (f": {reason}" if reason else "")


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
