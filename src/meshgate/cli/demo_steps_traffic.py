"""Steps of the tour about where requests go, and who is known to whom."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

from meshgate.cli.demo_certificates import certificate_of
from meshgate.cli.demo_http import Ask, ask_many, ask_once
from meshgate.cli.demo_shop import Shop
from meshgate.cli.demo_steps import (
    CHECKOUT_ID,
    GATEWAY_ID,
    PAYMENT_ID,
    SHOP,
    Finding,
    Findings,
    Split,
    counted,
)
from meshgate.cli.demo_tokens import ALICE, token
from meshgate.cli.printing import get_in, text_in

USERS = Ask(path="/api/users")
_REQUESTS = 1_000
_BATCH = 100
_BATCH_TIMEOUT_S = 20.0


def pods_ready(shop: Shop) -> Findings:
    """All that the manifests ask for runs, each with its sidecar in step."""
    report = shop.wait_until_ready()
    waiting = [f"{pod.name}: {pod.message or pod.phase}" for pod in report.pods if not pod.ready]
    behind = [f"{proxy.id}: {proxy.detail}" for proxy in report.proxies if not proxy.synced]
    in_step = len(report.proxies) - len(behind)
    yield Finding(
        asked=f"pods, isolation {report.isolation}",
        came="; ".join([*waiting, *behind])
        or f"{len(report.pods)} ready, {in_step} Envoys in step with the control plane",
        held=not waiting and not behind and in_step >= sum(pod.meshed for pod in report.pods),
    )
    errors = [line for line in report.diagnostics if line.severity == "error"]
    warnings = [line for line in report.diagnostics if line.severity == "warning"]
    came = f"{len(errors)} errors, {len(warnings)} warnings about what the published examples leave out"
    yield Finding(asked="manifests", came=came, held=not errors)


def split_at_edge(shop: Shop) -> Findings:
    """An Ingress backend follows the mesh's VirtualService."""

    def ask(times: int) -> tuple[Counter[str], int]:
        answers = ask_many(shop.port, USERS, times)
        return Counter(a.version for a in answers if a.version), sum(a.status != 200 for a in answers)

    yield from _split(f"GET {USERS.path}", ask)


def split_inside(shop: Shop) -> Findings:
    """checkout calls http://payment/ and knows of no versions."""
    callers: Counter[str] = Counter()

    def ask(times: int) -> tuple[Counter[str], int]:
        batch = Ask(path=f"/call/payment?times={_BATCH}", host=SHOP)
        versions: Counter[str] = Counter()
        for answer in ask_many(shop.port, batch, times // _BATCH, 3, _BATCH_TIMEOUT_S):
            versions.update(_counts(answer.json, "versions"))
            callers.update(_counts(answer.json, "seen_by_target_as"))
        return versions, times - sum(versions.values())

    yield from _split("checkout → http://payment/", ask)
    only = set(callers) == {CHECKOUT_ID}
    yield Finding(asked="payment, who called?", came=", ".join(sorted(callers)) or "nobody", held=only)


def _split(asked: str, ask: Callable[[int], tuple[Counter[str], int]]) -> Findings:
    """90/10 within three standard errors; chance misses that once in 370 times, so it may ask again."""
    versions, failed = ask(_REQUESTS)
    split = Split(counts=versions, version="v2", percent=10)
    if not split.holds and not failed:
        yield Finding(asked=f"{_REQUESTS:,} x {asked}", came=f"{split}: by chance? ask twice as many")
        versions, failed = ask(2 * _REQUESTS)
        split = Split(counts=versions, version="v2", percent=10)
    came = f"{split}; {failed} failed"
    yield Finding(asked=f"{split.total:,} x {asked}", came=came, held=split.holds and not failed)


def canary(shop: Shop) -> Findings:
    """A header chooses v2, inside the mesh and at the edge; without it v1."""
    inside = Ask(path="/call/backend-service?times=50", host=SHOP)
    for ask, said, wanted in (
        (inside.with_headers(x_canary="true"), "50 x checkout → backend-service, x-canary: true", {"v2": 50}),
        (inside, "50 x the same without the header", {"v1": 50}),
    ):
        versions = _counts(ask_once(shop.port, ask, _BATCH_TIMEOUT_S).json, "versions")
        yield Finding(asked=said, came=counted(versions), held=versions == wanted)
    edge = Ask(path="/api/v1", host="api.example.com").with_headers(
        Authorization=f"Bearer {token(*ALICE)}", x_canary="true"
    )
    versions = Counter(a.version for a in ask_many(shop.port, edge, 10, 2))
    yield Finding(
        asked="10 x GET /api/v1 at the edge, x-canary: true",
        came=counted(versions),
        held=versions == {"v2": 10},
    )


def identities(shop: Shop) -> Findings:
    """The callee learns the caller's name from its certificate; a plaintext caller is refused."""
    forged = USERS.with_headers(
        x_forwarded_client_cert="By=spiffe://x;URI=spiffe://cluster.local/ns/a/sa/root"
    )
    answer = ask_once(shop.port, forged)
    caller = text_in(answer.json, "caller", default=answer.said)
    header = text_in(answer.json, "headers", "x-forwarded-client-cert", default="")
    held = caller == GATEWAY_ID and "sa/root" not in header
    yield Finding(asked="user-service, who called? (the client forges its header)", came=caller, held=held)
    address, port = shop.address_of("payment")
    certificate = certificate_of(address, port)
    held = certificate.spiffe_id == PAYMENT_ID and certificate.left > timedelta(0)
    yield Finding(asked="payment's own certificate", came=str(certificate), held=held)
    came, refused = plaintext(address, port)
    yield Finding(asked=f"plain HTTP straight to payment's pod, {address}:{port}", came=came, held=refused)
    inside = ask_once(shop.port, Ask(path="/call/payment", host=SHOP))
    held = _counts(inside.json, "statuses") == {"200": 1}
    yield Finding(asked="the same pod through the mesh", came="200" if held else inside.said, held=held)


def plaintext(address: str, port: int) -> tuple[str, bool]:
    """What a pod says to a request without TLS, and whether that is a refusal after the connection stood."""
    try:
        with socket.create_connection((address, port), timeout=5.0) as connection:
            try:
                connection.sendall(f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
                heard = connection.recv(64)
            except ConnectionError as error:
                return f"connected, then refused ({error.strerror})", True
            except TimeoutError:
                return "connected, no answer and no refusal in 5 s", False
    except OSError as error:
        return f"no connection at all: {error}", False
    if heard:
        return f"answered: {heard.splitlines()[0].decode(errors='replace')}", False
    return "connected, then refused (closed without an answer)", True


def _counts(body: object, name: str) -> Mapping[str, int]:
    found = get_in(body, name)
    if not isinstance(found, Mapping):
        return {}
    return {str(key): number for key, number in found.items() if isinstance(number, int)}
