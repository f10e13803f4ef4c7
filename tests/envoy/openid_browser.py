"""A browser as far as logins need one: it keeps cookies and follows nothing by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp

from tests.envoy.kong_edge import Answer, Ask, send

HOST = "shop.example"


@dataclass(slots=True)
class Browser:
    """Keeps cookies and follows nothing by itself."""

    port: int
    session: aiohttp.ClientSession
    cookies: dict[str, str] = field(default_factory=dict)
    agent: str = "browser"

    async def get(self, path: str, *, method: str = "GET", body: bytes = b"") -> Answer:
        """One request to the gateway."""
        shown = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = [("host", HOST), ("user-agent", self.agent)]
        headers += [("cookie", shown)] if shown else []
        headers += [("content-type", "application/x-www-form-urlencoded")] if body else []
        answer = await send(self.port, Ask(path, method=method, headers=tuple(headers), body=body))
        for line in answer.headers.get("set-cookie", ()):
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    async def login(self, path: str) -> str:
        """Begins a login and has the provider agree; gives the path of its answer at the gateway."""
        began = await self.get(path)
        assert began.status == 302, began
        return await self.agree(began)

    async def agree(self, began: Answer) -> str:
        """Goes where a login's begin leads."""
        location = began.header("location") or ""
        async with self.session.get(location, allow_redirects=False) as response:
            back = urlsplit(response.headers["location"])
        assert back.hostname == HOST
        return f"{back.path}?{back.query}"
