"""A person with a browser logs in at a real identity provider, and out again."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.chromium import chromium
from tests.browser.identity_provider import canaille, canaille_python
from tests.envoy.kong_edge import consumer, gateway, plugin, route
from tests.redis_server import free_port

pytestmark = [pytest.mark.envoy, pytest.mark.slow]
SECRET = "demo only: the shop's secret"
WAIT_S = 60
STORY_S = 300


def _manifests(issuer: str) -> str:
    config = {
        "issuer": issuer,
        "client_id": ["shop"],
        "client_secret": [SECRET],
        "auth_methods": ["authorization_code", "session"],
        "scopes": ["openid", "profile", "email"],
        "login_action": "redirect",
        "login_tokens": [],
        "preserve_query_args": True,
        "logout_uri_suffix": "/logout",
        "consumer_claims": [["sub"]],
        "search_user_info": True,
        "upstream_headers": [{"header": "x-mail", "path": ["email"]}],
    }
    return (
        plugin("login", "openid-connect", json.dumps(config))
        + route("account", "login")
        + consumer("ann", {})
    )


def _client(origin: str) -> dict[str, object]:
    return {
        "client_id": "shop",
        "client_secret": SECRET,
        "client_name": "The shop",
        "client_uri": origin,
        "redirect_uris": [f"{origin}/account/orders", f"{origin}/account"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": ["openid", "profile", "email"],
        "token_endpoint_auth_method": "client_secret_basic",
    }


def _user(name: str) -> dict[str, object]:
    return {
        "user_name": name,
        "password": f"the password of {name}",
        "family_name": name.title(),
        "emails": [f"{name}@shop.example"],
    }


class Person:
    """Somebody at the browser."""

    def __init__(self, browser: Chrome, name: str) -> None:
        self._browser, self._name = browser, name

    def goes_to(self, address: str) -> None:
        """Types an address."""
        self._browser.get(address)

    def fills_in(self, field: str, text: str) -> None:
        """Fills in a form's field and sends the form."""
        wait = WebDriverWait(self._browser, WAIT_S)
        found = wait.until(lambda b: b.find_element(By.NAME, field))
        found.clear()
        found.send_keys(text)
        found.submit()

    def logs_in(self) -> None:
        """By the provider's two forms."""
        self.fills_in("login", self._name)
        self.fills_in("password", f"the password of {self._name}")

    def is_at(self, address: str) -> None:
        """Waits until the browser shows that address."""
        try:
            WebDriverWait(self._browser, WAIT_S).until(lambda b: b.current_url.startswith(address))
        except TimeoutException:
            raise AssertionError(f"at {self._browser.current_url}, which says {self.sees()}") from None

    def sees(self) -> str:
        """The page's text."""
        return self._browser.find_element(By.TAG_NAME, "body").text

    def service_saw(self) -> dict[str, Any]:
        """What the service behind the gateway tells of the request."""
        found: dict[str, Any] = json.loads(self.sees())
        return found

    def logs_out(self, path: str) -> None:
        """Sends a form without fields."""
        script = "const f = document.createElement('form'); f.method = 'POST'; f.action = arguments[0];"
        self._browser.execute_script(f"{script} document.body.append(f); f.submit();", path)


def _story(browser: Chrome, shop: str, provider: str) -> None:
    ann = Person(browser, "ann")
    ann.goes_to(f"{shop}/account/orders?page=2")
    ann.is_at(f"{provider}/")
    ann.fills_in("login", "ann")
    ann.fills_in("password", "not the password of ann")
    ann.is_at(f"{provider}/")
    ann.goes_to(f"{shop}/account/orders?page=2")
    ann.logs_in()
    ann.is_at(f"{shop}/account/orders?page=2")
    saw = ann.service_saw()
    assert saw["path"] == "/account/orders?page=2"
    assert saw["headers"]["x-consumer-username"] == ["ann"]
    assert saw["headers"]["x-mail"] == ["ann@shop.example"]
    assert saw["headers"]["authorization"][0].startswith("Bearer ")
    assert "cookie" not in saw["headers"]
    assert browser.execute_script("return document.cookie") == "", "no script sees the session"
    # The login that Ann gave up is still under way, as far as the gateway knows.
    assert {cookie["name"] for cookie in browser.get_cookies()} == {"session", "authorization"}

    ann.goes_to(f"{shop}/account")
    assert ann.service_saw()["path"] == "/account"
    ann.logs_out(f"{shop}/account/logout")
    ann.is_at(f"{provider}/")
    ann.goes_to(f"{shop}/account")
    ann.is_at(f"{provider}/")


def test_a_login_and_a_logout(tmp_path: Path) -> None:
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("needs Debian's packages chromium and chromium-driver")
    python = canaille_python()

    async def run() -> None:
        port = free_port()
        provider = f"http://localhost:{port}"
        async with gateway(_manifests(provider), tmp_path, lasts_s=STORY_S) as edge:
            shop = f"http://127.0.0.1:{edge}"
            settings = {"client": _client(shop), "users": [_user("ann"), _user("eve")]}
            async with canaille(python, port, settings):
                with chromium(tmp_path / "profile") as browser:
                    await asyncio.to_thread(_story, browser, shop, provider)

    asyncio.run(run())
