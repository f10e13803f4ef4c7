"""Kong's `opa` (documented for 3.9): the Open Policy Agent is told of a request, and decides.

Whatever it answers but a decision is 500, as in Kong: of a policy that is not defined, with another
status, or nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

import aiohttp
import structlog

from meshgate.bridge.request import Allow, Deny, Headers, Identity, Request, Verdict, failed
from meshgate.bridge.tools import Tools
from meshgate.model.policies.open_policy import Opa
from meshgate.model.service import EMPTY

MAX_ANSWER_BYTES = 1024 * 1024
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PORT = re.compile(r":\d+$")
_HIDDEN = (":", "x-meshgate-", "x-envoy-")
"""What a header that the client did not send begins with."""
_JSON = ("content-type", "application/json; charset=utf-8")
_log = structlog.get_logger("meshgate.bridge")


class NoDecisionError(ValueError):
    """The agent's answer decides nothing; the message quotes nothing of it."""


class OpaCheck:
    """Asks one agent about one policy."""

    def __init__(self, policy: Opa, tools: Tools) -> None:
        self._policy, self._tools = policy, tools
        scheme = "https" if policy.https else "http"
        place = tools.places.get(f"{policy.host}:{policy.port}", f"{policy.host}:{policy.port}")
        self._url = f"{scheme}://{place}{policy.path}"

    async def ask(self, request: Request, known: Identity | None) -> Verdict:
        """What the agent decides."""
        question = json.dumps({"input": opa_input(self._policy, request, known)}).encode()
        try:
            return decision(await self._answer(question))
        except (NoDecisionError, aiohttp.ClientError, TimeoutError) as error:
            _log.warning("opa_failed", reason=str(error) or type(error).__name__, host=self._policy.host)
            return failed(to=request)

    async def _answer(self, question: bytes) -> bytes:
        policy = self._policy
        async with self._tools.http().post(
            self._url,
            data=question,
            headers={"content-type": "application/json", "host": f"{policy.host}:{policy.port}"},
            timeout=aiohttp.ClientTimeout(total=policy.TIMEOUT_MS / 1000),
            ssl=policy.ssl_verify,
            server_hostname=policy.host if policy.https else None,
            allow_redirects=False,
        ) as answer:
            if answer.status != 200:
                raise NoDecisionError(f"answered {answer.status}")
            body = b""
            async for part in answer.content.iter_chunked(65_536):
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise NoDecisionError("the answer is too long")
            return body


def opa_input(policy: Opa, request: Request, known: Identity | None) -> Mapping[str, object]:
    """The document that policies know as `input`."""
    http: dict[str, object] = {
        "host": _PORT.sub("", request.host),
        "port": request.gateway_port,
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path_only,
        "querystring": _listed(request.query),
        "headers": _listed(_sent(request)),
    }
    if request.scheme == "https":
        http["tls"] = {}
    if policy.include_uri_captures:
        http["uri_captures"] = _captures(request.captures)
    if policy.include_body:
        http["body"] = request.body.decode("utf-8", "replace")
        http["body_size"] = len(request.body)
    if policy.include_parsed_json_body:
        parsed = _parsed(request)
        if parsed is not None:
            http["parsed_body"] = parsed
    found: dict[str, object] = {"request": {"http": http}, "client_ip": request.client_ip}
    if policy.include_service:
        found["service"] = json.loads(policy.service)
    if policy.include_route:
        found["route"] = json.loads(policy.route)
    if policy.include_consumer and known is not None and (consumer := known.consumer) is not None:
        told = {"id": consumer.id, "username": consumer.username, "custom_id": consumer.custom_id}
        found["consumer"] = {key: value for key, value in told.items() if value}
    return found


def decision(body: bytes) -> Verdict:
    """The agent's answer as a verdict. Raises `NoDecisionError`."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoDecisionError("the answer is no JSON") from error
    match said:
        case {"result": bool(allow)}:
            return Allow() if allow else _denied(EMPTY)
        case {"result": {"allow": True, **more}}:
            return Allow(set_headers=_headers(more.get("headers")))
        case {"result": {"allow": False, **more}}:
            return _denied({str(key): value for key, value in more.items()})
    raise NoDecisionError("the answer decides nothing; is the policy defined?")


def _denied(said: Mapping[str, object]) -> Deny:
    status, message = said.get("status", 403), said.get("message", "unauthorized")
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise NoDecisionError("status is none of HTTP's")
    body = message if isinstance(message, dict | list) else {"message": message}
    headers = tuple(pair for pair in _headers(said.get("headers")) if pair[0] != "content-length")
    typed = () if any(name == "content-type" for name, _ in headers) else (_JSON,)
    return Deny(status=status, headers=(*typed, *headers), body=json.dumps(body, separators=(",", ":")))


def _headers(said: object) -> Headers:
    if said is None:
        return ()
    if not isinstance(said, dict):
        raise NoDecisionError("headers are no object")
    found: list[tuple[str, str]] = []
    for name, value in said.items():
        text = json.dumps(value) if isinstance(value, bool | int | float) else value
        if not isinstance(text, str) or not _TOKEN.fullmatch(name) or set(text) & set("\r\n\0"):
            raise NoDecisionError("a header is none of HTTP's")
        found.append((name.lower(), text))
    return tuple(found)


def _sent(request: Request) -> Iterable[tuple[str, str]]:
    yield "host", request.host
    yield from (h for h in request.headers if not h[0].startswith(_HIDDEN) and h[0] != "host")


def _listed(pairs: Iterable[tuple[str, str]]) -> Mapping[str, object]:
    """As Kong tells them: a text, or a list of texts where a name comes several times."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _captures(groups: Mapping[str, str]) -> Mapping[str, object]:
    numbered = sorted((int(name), value) for name, value in groups.items() if name.isdecimal())
    named = {name: value for name, value in groups.items() if not name.isdecimal()}
    return {"named": named, "unnamed": [value for _, value in numbered]}


def _parsed(request: Request) -> object:
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return None
    try:
        return json.loads(request.body)
    except (ValueError, RecursionError):
        return None
