"""Keeps a certificate for each host that wants one: asks, renews in time, waits after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from meshgate.acme.challenge import Challenge, OrderFailed, Show
from meshgate.acme.storage import Issued, Storage
from meshgate.core.clock import Clock
from meshgate.core.secret import Secret
from meshgate.model.policies.acme import Acme

_log = structlog.get_logger(__name__)
LOOK_EVERY_S = 3600
"""How often certificates are looked at when nothing else happens."""


def obtain(host: str, settings: Acme, account_key: Secret, show: Show, now: datetime) -> Issued:
    """`order.obtain`, loaded when the first host wants a certificate: few do, and all would wait for it."""
    from meshgate.acme import order

    return order.obtain(host, settings, account_key, show, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A host that has no certificate, or an old one."""

    host: str
    message: str
    settings: Acme


@dataclass(slots=True)
class _Host:
    settings: Acme
    issued: Issued | None
    again: datetime | None = None
    """Not before; None: at once."""
    trouble: str = ""


@dataclass(slots=True)
class CertificateKeeper:
    """Runs in a task of the caller's; orders go one after the other."""

    storage: Storage
    clock: Clock
    show: Callable[[Challenge], Awaitable[None]]
    """Lets the gateway answer; returns when it does. Raises `OrderFailed`."""
    hide: Callable[[], None]
    """Ends all answers."""
    changed: Callable[[], None]
    """Called after a certificate has come."""
    order: Callable[[str, Acme, Secret, Show, datetime], Issued] = obtain
    """Asks an authority, in a thread."""
    _hosts: dict[str, _Host] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def want(self, hosts: Mapping[str, Acme]) -> None:
        """These hosts shall have certificates, and no others."""
        before, self._hosts = self._hosts, {}
        for host, settings in sorted(hosts.items()):
            known = before.get(host)
            if known is not None and known.settings.account == settings.account:
                known.settings = settings
                self._hosts[host] = known
            else:
                issued = self.storage.certificate(host, settings.account)
                self._hosts[host] = _Host(settings=settings, issued=issued)
        if self._hosts.keys() != before.keys() or any(self._due(h) for h in self._hosts.values()):
            self._news.set()

    def certificates(self) -> Mapping[str, Issued]:
        """By host; those that are still valid."""
        now = self.clock.now()
        return {n: h.issued for n, h in self._hosts.items() if h.issued is not None and h.issued.ends > now}

    def troubles(self) -> tuple[Trouble, ...]:
        """Hosts for which the last order failed."""
        return tuple(
            Trouble(host=name, message=host.trouble, settings=host.settings)
            for name, host in self._hosts.items()
            if host.trouble
        )

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._news.clear()
            for name, host in tuple(self._hosts.items()):
                if self._hosts.get(name) is host and self._due(host):
                    await self._order(name, host)
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._news.wait()
            except TimeoutError:
                pass

    def _due(self, host: _Host) -> bool:
        now = self.clock.now()
        if host.again is not None and now < host.again:
            return False
        return host.issued is None or host.issued.due(now, host.settings.renew_before_days)

    def _pause_s(self) -> float:
        now = self.clock.now()
        waits = [(h.again - now).total_seconds() for h in self._hosts.values() if h.again is not None]
        return max(0.1, min([LOOK_EVERY_S, *(w for w in waits if w > 0)]))

    async def _order(self, name: str, host: _Host) -> None:
        loop = asyncio.get_running_loop()

        def show(challenge: Challenge) -> None:
            asyncio.run_coroutine_threadsafe(_awaited(self.show(challenge)), loop).result()

        _log.info("acme_order", host=name, authority=host.settings.account.api_uri)
        try:
            key = self.storage.account_key(host.settings.account)
            now = self.clock.now()
            issued = await asyncio.to_thread(self.order, name, host.settings, key, show, now)
            self.storage.keep(name, host.settings.account, issued)
        except Exception as failed:
            # Whatever goes wrong with one host concerns neither the others nor the control plane.
            if not isinstance(failed, OrderFailed | OSError):
                _log.exception("acme_order_bug", host=name)
            host.trouble = str(failed) or type(failed).__name__
            host.again = self.clock.now() + timedelta(minutes=host.settings.backoff_minutes)
            _log.error("acme_order_failed", host=name, reason=host.trouble)
        else:
            host.issued, host.trouble, host.again = issued, "", None
            _log.info("acme_certificate", host=name, ends=issued.ends.isoformat())
            self.changed()
        finally:
            self.hide()


async def _awaited(work: Awaitable[None]) -> None:
    await work
