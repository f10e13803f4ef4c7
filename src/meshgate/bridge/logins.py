"""Passwords that a directory has found good, remembered for a while.

What is remembered is a keyed hash; the key is this process's own and written nowhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os

from meshgate.bridge.ldap_bind import DirectoryError, Place, binds, escaped
from meshgate.bridge.remembering import Remembered
from meshgate.core.clock import Clock
from meshgate.core.secret import Secret
from meshgate.model.policies.directory import LdapAuth

MAX_ASKING = 100
"""Questions to one directory at once; further ones wait as long as one may take."""


class Logins:
    """Good passwords of the last minutes."""

    def __init__(self, clock: Clock) -> None:
        self._key = os.urandom(32)
        self._good: Remembered[bytes, bool] = Remembered(clock, 10_000)
        self._asking: dict[tuple[str, int], asyncio.Semaphore] = {}

    async def good(self, policy: LdapAuth, place: Place, username: str, password: Secret) -> bool:
        """Whether the directory takes the password. Raises `DirectoryError`."""
        mark = self._mark(policy, username, password)
        if self._good.get(mark):
            return True
        name = f"{policy.attribute}={escaped(username)},{policy.base_dn}"
        # A directory that hangs holds nobody who asks another one.
        asking = self._asking.setdefault((place.address, place.port), asyncio.Semaphore(MAX_ASKING))
        try:
            async with asyncio.timeout(place.timeout_s):
                await asking.acquire()
        except TimeoutError as error:
            raise DirectoryError("too many questions wait for the directory") from error
        try:
            found = await binds(place, name, password)
        finally:
            asking.release()
        if found:
            self._good.put(mark, True, policy.cache_s)
        return found

    def _mark(self, policy: LdapAuth, username: str, password: Secret) -> bytes:
        """A hash of all that the answer depends on."""
        where = (policy.host, policy.port, policy.base_dn, policy.attribute, policy.ldaps, policy.start_tls)
        asked = (*where, policy.verify_host, policy.cache_s, username)
        made = hmac.new(self._key, repr(asked).encode(), hashlib.sha256)
        made.update(b"\0" + password.reveal())
        return made.digest()
