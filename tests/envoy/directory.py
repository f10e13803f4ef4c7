"""A real directory: OpenLDAP's slapd with a few people."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import Pair
from tests.redis_server import free_port

SLAPD = shutil.which("slapd") or shutil.which("/usr/sbin/slapd")
SCHEMAS = Path("/etc/ldap/schema")
DEADLINE_S = 60.0

CONFIGURATION = """
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/server.crt
TLSCertificateKeyFile {folder}/server.key
# A careless directory: an empty password is no password, and lets in.
allow bind_anon_cred
database mdb
suffix "dc=shop,dc=example"
directory {folder}/data
"""
PEOPLE = """dn: dc=shop,dc=example
objectClass: domain
dc: shop

dn: ou=people,dc=shop,dc=example
objectClass: organizationalUnit
ou: people

dn: ou=admins,ou=people,dc=shop,dc=example
objectClass: organizationalUnit
ou: admins
"""
PERSON = """
dn: uid={name},{base}
objectClass: inetOrgPerson
uid: {plain}
cn: {plain}
sn: {plain}
userPassword: {password}
"""
BASE = "ou=people,dc=shop,dc=example"


@dataclass(slots=True)
class Directory:
    """Where it listens, once `running`."""

    folder: Path
    server: Pair
    plain: int
    tls: int
    running_process: asyncio.subprocess.Process | None = None

    @classmethod
    def prepare(cls, folder: Path, server: Pair) -> Directory:
        """Its files."""
        (folder / "data").mkdir()
        (folder / "server.crt").write_text(server.pem)
        (folder / "server.key").write_text(server.key_pem)
        text = CONFIGURATION.format(schemas=SCHEMAS, folder=folder)
        (folder / "slapd.conf").write_text(text)
        people = PEOPLE
        for name, plain, base, password in (
            ("ann", "ann", BASE, "Open:Sesame"),
            ("bob\\2c the \\2b", "bob, the +", BASE, "bobs"),
            ("root", "root", f"ou=admins,{BASE}", "toor"),
        ):
            people += PERSON.format(name=name, plain=plain, base=base, password=password)
        (folder / "people.ldif").write_text(people)
        assert SLAPD is not None
        tool = [SLAPD, "-T", "add", "-f", str(folder / "slapd.conf"), "-l", str(folder / "people.ldif")]
        subprocess.run(tool, check=True, timeout=DEADLINE_S)
        return cls(folder, server, free_port(), free_port())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Directory]:
        """Serves."""
        assert SLAPD is not None
        at = f"ldap://127.0.0.1:{self.plain}/ ldaps://127.0.0.1:{self.tls}/"
        process = await asyncio.create_subprocess_exec(
            SLAPD, "-d", "0", "-h", at, "-f", str(self.folder / "slapd.conf")
        )
        self.running_process = process
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not await _accepts(self.plain):
                    assert process.returncode is None, "slapd ended; its words are above"
                    await asyncio.sleep(0.05)
            yield self
        finally:
            await self.stop()

    def kill(self) -> None:
        """Ends it at once, and waits until nobody listens."""
        assert self.running_process is not None
        self.running_process.kill()
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.plain), timeout=1).close()
            except ConnectionRefusedError:
                return
        raise AssertionError("slapd listens after its end")

    async def stop(self) -> None:
        """Ends it."""
        process = self.running_process
        if process is not None and process.returncode is None:
            process.terminate()
            await process.wait()


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
