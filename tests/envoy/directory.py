"""A real directory: OpenLDAP's slapd with a few people."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import Pair
from tests.redis_server import free_port

SLAPD = shutil.which("slapd") or shutil.which("/usr/sbin/slapd")
SCHEMAS = Path("/etc/ldap/schema")
DEADLINE_S = 60.0
TRIES = 5

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


@dataclass(slots=True, kw_only=True)
class Directory:
    """A running slapd, and where it listens."""

    process: subprocess.Popen[bytes]
    plain: int
    tls: int

    def kill(self) -> None:
        """Ends it at once; nobody of its own listens any more then."""
        self.process.kill()
        self.process.wait(DEADLINE_S)


@contextmanager
def directory(folder: Path, server: Pair) -> Iterator[Directory]:
    """A directory that listens as long as this lasts: nobody else can have its ports in the meantime."""
    _prepare(folder, server)
    for _ in range(TRIES):
        found = _started(folder)
        if found is not None:
            break
    else:
        raise AssertionError("slapd found no free ports, or has another problem; its words are above")
    try:
        yield found
    finally:
        found.kill()


def _started(folder: Path) -> Directory | None:
    """It, once it listens; None where it has ended, for somebody was faster to take one of its ports."""
    assert SLAPD is not None
    plain, tls = free_port(), free_port()
    at = f"ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{tls}/"
    process = subprocess.Popen([SLAPD, "-d", "0", "-h", at, "-f", str(folder / "slapd.conf")])
    found = Directory(process=process, plain=plain, tls=tls)
    until = time.monotonic() + DEADLINE_S
    # It writes this file when it has all of its ports.
    ready = folder / "slapd.pid"
    while time.monotonic() < until and process.poll() is None:
        if ready.is_file() and ready.read_text().strip() == str(process.pid):
            return found
        time.sleep(0.02)
    found.kill()
    return None


def _prepare(folder: Path, server: Pair) -> None:
    (folder / "data").mkdir()
    (folder / "server.crt").write_text(server.pem)
    (folder / "server.key").write_text(server.key_pem)
    (folder / "slapd.conf").write_text(CONFIGURATION.format(schemas=SCHEMAS, folder=folder))
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
