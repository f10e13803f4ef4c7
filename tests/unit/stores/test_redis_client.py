"""TLS to Redis, through a TLS server that passes the plain text on to a real Redis."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.exceptions import RedisError

from meshgate.model.policy import RedisTarget
from meshgate.stores.redis_client import connect
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.redis


def certificate(folder: Path, name: str) -> Path:
    """A PEM file with a self-signed certificate for this name and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "redis.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@asynccontextmanager
async def tls_front(redis: RedisServer, pem: Path, asked: list[str | None]) -> AsyncIterator[int]:
    """The port of a TLS server before Redis; `asked` gathers the names that clients ask for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection(redis.host, redis.port)
        await asyncio.gather(copy(reader, back_writer), copy(back_reader, writer))
        await writer.wait_closed()
        await back_writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


async def ping(target: RedisTarget) -> object:
    client = connect(target)
    try:
        return await client.echo("hello")
    finally:
        await client.aclose()
        await client.connection_pool.disconnect()


@pytest.mark.parametrize(
    ("server_name", "verify", "trusted", "answers"),
    [
        ("", False, False, True),
        ("redis.example", False, False, True),
        ("redis.example", True, False, False),
        ("redis.example", True, True, True),
        ("other.example", True, True, False),
    ],
)
def test_tls(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server_name: str,
    verify: bool,
    trusted: bool,
    answers: bool,
) -> None:
    pem = certificate(tmp_path, "redis.example")
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    asked: list[str | None] = []

    async def play(redis: RedisServer) -> None:
        async with tls_front(redis, pem, asked) as port:
            target = RedisTarget(
                host="127.0.0.1", port=port, ssl=True, ssl_verify=verify, server_name=server_name
            )
            if answers:
                assert await ping(target) == b"hello"
            else:
                with pytest.raises(RedisError):
                    await ping(target)

    with redis_server(tmp_path) as redis:
        asyncio.run(play(redis))
    assert asked[0] == (server_name or None), "an address is no name to ask for"
