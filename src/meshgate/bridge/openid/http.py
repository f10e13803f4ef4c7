"""The way to the identity provider: bounded in time and size, never redirected."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp

from meshgate.bridge.openid.problems import ProviderError
from meshgate.model.service import EMPTY

MAX_REPLY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request to the provider."""

    url: str
    form: tuple[tuple[str, str], ...] | None = None
    """Posted; None: GET."""
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    timeout_ms: int = 10_000
    ssl_verify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back."""

    status: int
    body: bytes

    def json(self) -> Mapping[str, Any]:
        """The body's object. Raises `ProviderError`."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise ProviderError("the provider's answer is not JSON") from error
        if not isinstance(found, dict):
            raise ProviderError("the provider's answer is not an object")
        return found


Ask = Callable[[Question], Awaitable[Reply]]
"""Asks the provider. Raises `ProviderError`."""


def asking(session: Callable[[], aiohttp.ClientSession]) -> Ask:
    """Asks by HTTP."""

    async def ask(question: Question) -> Reply:
        where = urlsplit(question.url).hostname or "?"
        headers = {"accept": "application/json", **question.headers}
        data = None
        if question.form is not None:
            data = urlencode(question.form).encode()
            headers["content-type"] = "application/x-www-form-urlencoded"
        try:
            async with session().request(
                "GET" if question.form is None else "POST",
                question.url,
                data=data,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=question.timeout_ms / 1000),
                allow_redirects=False,
                ssl=question.ssl_verify,
            ) as response:
                body = await response.content.read(MAX_REPLY_BYTES + 1)
                while len(body) <= MAX_REPLY_BYTES and (more := await response.content.read(MAX_REPLY_BYTES)):
                    body += more
        except TimeoutError as error:
            raise ProviderError(f"{where} did not answer in {question.timeout_ms} ms") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderError(f"{where} cannot be asked: {type(error).__name__}") from error
        if len(body) > MAX_REPLY_BYTES:
            raise ProviderError(f"{where} answered more than {MAX_REPLY_BYTES} bytes")
        return Reply(status=response.status, body=body)

    return ask
