"""Kong's `ldap-auth` (3.9): whoever can bind to a directory gets in, and is no consumer."""

from __future__ import annotations

import base64
import binascii
import re

import structlog

from meshgate.bridge.ldap_bind import DirectoryError, Place
from meshgate.bridge.request import Allow, Identity, Request, Verdict, failed, refused
from meshgate.bridge.tools import Tools
from meshgate.core.secret import Secret
from meshgate.model.policies.directory import LdapAuth

_PLACES = ("proxy-authorization", "authorization")
_log = structlog.get_logger("meshgate.bridge")


class LdapCheck:
    """Whose password a directory takes."""

    def __init__(self, policy: LdapAuth, tools: Tools) -> None:
        self._policy, self._tools = policy, tools
        place = tools.places.get(f"{policy.host}:{policy.port}", "")
        address, _, port = place.rpartition(":")
        self._place = Place(
            address=address or policy.host,
            port=int(port) if address else policy.port,
            name=policy.host,
            ldaps=policy.ldaps,
            start_tls=policy.start_tls,
            verify=policy.verify_host,
            timeout_s=policy.timeout_ms / 1000,
        )
        scheme = "LDAP" if policy.header_type == "ldap" else policy.header_type
        self._challenge = f'{scheme} realm="{policy.realm}"' if policy.realm else scheme
        self._form = re.compile(rf"\s*{re.escape(policy.header_type)}\s+(\S+)\s*", re.IGNORECASE)

    async def ask(self, request: Request, known: Identity | None) -> Verdict:
        """Proxy-Authorization counts before Authorization, as in Kong."""
        for place in _PLACES:
            found = self._credentials(request.header(place) or "")
            if found is None:
                continue
            username, password = found
            try:
                good = await self._tools.kept.logins.good(self._policy, self._place, username, password)
            except DirectoryError as error:
                _log.warning("ldap_failed", host=self._policy.host, reason=str(error))
                return failed(to=request)
            if good:
                return Allow(
                    identity=Identity(credential=username),
                    remove_headers=_PLACES if self._policy.hide_credentials else (),
                )
        return refused("Unauthorized", self._challenge, to=request)

    def _credentials(self, header: str) -> tuple[str, Secret] | None:
        """Username and password; None where there are none, or one of them is empty."""
        match = self._form.fullmatch(header)
        if match is None:
            return None
        try:
            username, colon, password = base64.b64decode(match[1], validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        if not username.isprintable() or not username.strip() or not colon or not password:
            return None
        return (username, Secret.of(password)) if "\0" not in password else None
