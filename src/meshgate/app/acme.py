"""Joins the keeper of certificates to the model: which hosts want one, and what is seen at them."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshgate.acme.challenge import Challenge, OrderFailed
from meshgate.acme.keeper import CertificateKeeper, Trouble
from meshgate.acme.storage import Storage
from meshgate.core.clock import Clock
from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.model.edge import Certificate
from meshgate.model.graph import Model
from meshgate.model.policies.acme import Acme

SEEN_DEADLINE_S = 10.0
_POLL_S = 0.05
_ASK_TIMEOUT_S = 2.0
PREFIX = "acme/"
"""What the names of these certificates begin with; no Secret's does."""

Publish = Callable[[str, Mapping[str, object]], None]
"""Replaces a facet of the model."""


def wanted_hosts(model: Model, taken: Mapping[str, Certificate]) -> dict[str, Acme]:
    """Host -> the plugin of its first route that has it, where no Secret has a certificate for it."""
    shown = {host for certificate in taken.values() for host in certificate.hosts}
    found: dict[str, Acme] = {}
    for entry in model.edge_hosts.values():
        if "*" in entry.host or entry.host in shown:
            continue
        for policy in (p for rule in entry.rules for p in rule.policies if isinstance(p, Acme)):
            if policy.covers(entry.host):
                found.setdefault(entry.host, policy)
    return found


@dataclass(slots=True)
class AcmeCertificates:
    """The certificates of one control plane."""

    state: Path
    clock: Clock
    gateway: tuple[str, int]
    """Address and HTTP port."""
    publish: Publish
    renewed: Callable[[], None]
    """Called when a certificate has come."""
    _challenges: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    _keeper: CertificateKeeper = field(init=False)

    def __post_init__(self) -> None:
        self._keeper = CertificateKeeper(
            Storage(self.state / "acme"), self.clock, self._show, self._hide, self.renewed
        )

    async def run(self) -> None:
        """Until cancelled."""
        await self._keeper.run()

    def update(self, model: Model, taken: Mapping[str, Certificate]) -> None:
        """Takes a new model up; `taken` are certificates out of Secrets."""
        self._keeper.want(wanted_hosts(model, taken))

    def certificates(self) -> dict[str, Certificate]:
        """By name, as the HTTPS listener shows them."""
        return {
            f"{PREFIX}{host}": Certificate(
                name=f"{PREFIX}{host}", hosts=(host,), chain_pem=found.chain_pem, key_pem=found.key_pem
            )
            for host, found in self._keeper.certificates().items()
        }

    @property
    def challenges(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """Host -> (path, answer) of what the authority will ask for."""
        return dict(self._challenges)

    def problems(self) -> tuple[Diagnostic, ...]:
        """MG4007 for each host that has no new certificate."""
        return tuple(map(_problem, self._keeper.troubles()))

    async def _show(self, challenge: Challenge) -> None:
        own = self._challenges.get(challenge.host, ())
        self._challenges[challenge.host] = (*own, (challenge.path, challenge.answer))
        self.publish("acme_challenges", self.challenges)
        try:
            async with asyncio.timeout(SEEN_DEADLINE_S):
                while not await asyncio.to_thread(_seen, self.gateway, challenge):
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise OrderFailed("the gateway does not answer for this host over HTTP") from error

    def _hide(self) -> None:
        if self._challenges:
            self._challenges.clear()
            self.publish("acme_challenges", {})


def _seen(gateway: tuple[str, int], challenge: Challenge) -> bool:
    """Whether the gateway answers as the authority wants it."""
    connection = http.client.HTTPConnection(*gateway, timeout=_ASK_TIMEOUT_S)
    try:
        connection.request("GET", challenge.path, headers={"Host": challenge.host})
        answer = connection.getresponse()
        return answer.status == 200 and answer.read() == challenge.answer.encode()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _problem(trouble: Trouble) -> Diagnostic:
    minutes = trouble.settings.backoff_minutes
    return Diagnostic(
        severity=Severity.ERROR,
        code="MG4007",
        origin=trouble.settings.origin,
        message=f"no certificate for {trouble.host}: {trouble.message}; tried again in {minutes} minutes",
        remedy="the authority must reach port 80 of the host, and there this gateway",
    )
