"""The ways to those who take spans: Zipkin's and OTLP's, both over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

import aiohttp

from meshgate.bridge.otlp_spans import otlp_body
from meshgate.bridge.places import HttpTarget, Places
from meshgate.core.secret import Secret
from meshgate.model.policies.tracing import Delivery, OpenTelemetry, Zipkin


class SpanReceiver:
    """Takes batches of spans."""

    def __init__(self, policy: Zipkin | OpenTelemetry, endpoint: Secret, places: Places) -> None:
        self._policy, self._delivery = policy, policy.delivery
        self._target = HttpTarget(endpoint, places)
        self._session: aiohttp.ClientSession | None = None
        content = "application/json" if isinstance(policy, Zipkin) else "application/x-protobuf"
        self._headers = {"Host": self._target.host, "Content-Type": content}
        if isinstance(policy, OpenTelemetry):
            for name, value in policy.headers:
                same = next((known for known in self._headers if known.lower() == name.lower()), name)
                self._headers[same] = value.reveal_text()

    async def send(self, batch: Sequence[bytes]) -> None:
        """Hands a batch over; raises where that is not possible."""
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        async with self._session.post(
            self._target.url(),
            data=self._body(batch),
            headers=self._headers,
            allow_redirects=False,
            timeout=_timeout(self._delivery),
            server_hostname=self._target.tls_name,
        ) as reply:
            await reply.read()
        if not 200 <= reply.status < 300:
            raise OSError(f"status {reply.status}")

    def _body(self, batch: Sequence[bytes]) -> bytes:
        if isinstance(self._policy, OpenTelemetry):
            return otlp_body(self._policy, batch)
        return b"[" + b",".join(batch) + b"]"

    async def close(self) -> None:
        """Ends connections."""
        if self._session is not None:
            await self._session.close()


def _timeout(delivery: Delivery) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=(delivery.connect_timeout_ms + delivery.send_timeout_ms + delivery.read_timeout_ms) / 1000,
        sock_connect=delivery.connect_timeout_ms / 1000,
        sock_read=delivery.read_timeout_ms / 1000,
    )
