"""Kong's `mtls-auth` on a real Envoy with a real bridge: who is asked, who is let in, who is told."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import Pair, authority, named
from tests.envoy.kong_edge import Answer, Ask, asked, consumer, gateway, plugin

ROOT, OTHER, SERVERS = authority("clients' root"), authority("others' root"), authority("servers' root")
MIDDLE = ROOT.signs(named("middle"), authority=True)
HOSTS = x509.SubjectAlternativeName([x509.DNSName("*.shop.example")])
SERVER = SERVERS.signs(named("shop"), HOSTS)
CLIENTS = "clients.shop.example"
NOTHING, BAD = "No required TLS certificate was sent", "TLS certificate failed verification"

KEY = (("apikey", "daves-key"),)


def _mail(address: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.RFC822Name(address)])


def _secret(name: str, data: dict[str, str], label: str = "") -> str:
    labels = f', labels: {{konghq.com/{label}: "true"}}' if label else ""
    head = f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}{labels}}}\n"
    return f"{head}stringData: {json.dumps(data)}\n"


def _route(name: str, host: str, *plugins: str) -> str:
    return (
        f"---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, "
        f"annotations: {{konghq.com/plugins: '{', '.join(plugins)}'}}}}\n"
        f"spec: {{tls: [{{hosts: ['*.shop.example'], secretName: server}}], rules: [{{host: {host}, http: "
        f"{{paths: [{{path: /{name}, pathType: Prefix, "
        "backend: {service: {name: shop, port: {number: 80}}}}]}}]}\n"
    )


def _plugin(name: str, config: str = "", authorities: str = "root-id") -> str:
    skip = "" if "revocation_check_mode" in config else ", revocation_check_mode: SKIP"
    more = f", {config}" if config else ""
    return plugin(name, "mtls-auth", f"{{ca_certificates: [{authorities}]{skip}{more}}}")


MANIFESTS = (
    _secret("server", {"tls.crt": SERVER.pem, "tls.key": SERVER.key_pem})
    + _secret("root", {"id": "root-id", "cert": ROOT.pem}, "ca-cert")
    + _secret("middle", {"id": "middle-id", "cert": MIDDLE.pem}, "ca-cert")
    + _secret("other", {"id": "other-id", "cert": OTHER.pem}, "ca-cert")
    + consumer("ann", {"ann-mail": ("mtls-auth", {"subject_name": "ann@shop.example"})})
    + consumer("bob", {"bob-1": ("mtls-auth", {"subject_name": "same", "ca_certificate": "root-id"})})
    + consumer("carol", {"carol-1": ("mtls-auth", {"subject_name": "same", "ca_certificate": "other-id"})})
    + consumer("guest", {})
    + consumer("dave", {"dave-key": ("key-auth", {"key": "daves-key"})})
    + _plugin("certified")
    + _plugin("two", authorities="root-id, other-id")
    + _plugin("nobody", "skip_consumer_lookup: true")
    + _plugin("by-dn", "skip_consumer_lookup: true, authenticated_group_by: DN")
    + _plugin("perhaps", "anonymous: guest")
    + _plugin("default", "default_consumer: guest")
    + _plugin("no-names", "consumer_by: []")
    + _plugin("partial", "allow_partial_chain: true, send_ca_dn: true", "middle-id")
    + _plugin("strict", "revocation_check_mode: STRICT")
    + _plugin("lenient", "revocation_check_mode: IGNORE_CA_ERROR")
    + plugin("perhaps-key", "key-auth", "{anonymous: guest}")
    + plugin("key", "key-auth", "{}")
    + plugin("members", "acl", "{allow: [zoe]}")
    + "".join(
        _route(name, "clients.shop.example", name)
        for name in ("certified", "two", "nobody", "by-dn", "perhaps", "default", "no-names")
    )
    + "".join(_route(name, "clients.shop.example", name) for name in ("partial", "strict", "lenient"))
    + _route("members", "clients.shop.example", "nobody", "members")
    + _route("either", "clients.shop.example", "perhaps", "perhaps-key")
    + _route("both", "clients.shop.example", "certified", "key")
    + _route("open", "open.shop.example")
)
MESH = """---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    defaultConfig: {gatewayTopology: {forwardClientCertDetails: APPEND_FORWARD}}
"""


@pytest.fixture(name="asking")
def _asking(tmp_path: Path) -> Asking:
    return Asking(tmp_path)


class Asking:
    """Makes requests of clients with certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made = 0

    def context(self, *chain: Pair) -> ssl.SSLContext:
        """A client that shows the chain."""
        context = ssl.create_default_context(cadata=SERVERS.pem)
        if chain:
            self._made += 1
            file = self.folder / f"client-{self._made}.pem"
            file.write_text("".join(p.pem for p in chain) + chain[0].key_pem)
            context.load_cert_chain(file)
        return context

    def ask(
        self,
        path: str,
        *chain: Pair,
        host: str = "clients.shop.example",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Ask:
        every = (("host", host), *headers)
        return Ask(path, tls=self.context(*chain), sni=host, headers=every)


def _is_refused(answer: Answer, message: str) -> None:
    assert (answer.status, answer.message) == (401, message)
    assert answer.header("content-type") == "application/json; charset=utf-8"
    assert answer.header("www-authenticate") is None


@pytest.mark.envoy
def test_whose_certificate_it_is(asking: Asking) -> None:
    ann = MIDDLE.signs(named("whoever"), _mail("ann@shop.example"))
    by_name, same, same_elsewhere = (
        ROOT.signs(named("dave")),
        ROOT.signs(named("same")),
        OTHER.signs(named("same")),
    )
    stranger, san_first = ROOT.signs(named("zoe")), ROOT.signs(named("dave"), _mail("zoe@shop.example"))
    cases = {
        "by a credential": (asking.ask("/certified", ann, MIDDLE), "ann ann@shop.example"),
        "by name": (asking.ask("/certified", by_name), "dave dave"),
        "by a credential for its authority": (asking.ask("/two", same), "bob same"),
        "by a credential for another authority": (asking.ask("/two", same_elsewhere), "carol same"),
        "nobody's": (asking.ask("/certified", stranger), "Unauthorized"),
        "alternative names count before the CN": (asking.ask("/certified", san_first), "Unauthorized"),
        "a default": (asking.ask("/default", stranger), "guest zoe"),
        "names do not count": (asking.ask("/no-names", by_name), "Unauthorized"),
        "perhaps": (asking.ask("/perhaps", by_name), "dave dave"),
        "perhaps, nobody's": (asking.ask("/perhaps", stranger), "guest -"),
        "perhaps, none": (asking.ask("/perhaps"), "guest -"),
        "perhaps, bad": (asking.ask("/perhaps", OTHER.signs(named("dave"))), "guest -"),
        "either: a key": (asking.ask("/either", headers=KEY), "dave *"),
        "either: a certificate": (asking.ask("/either", ann, MIDDLE), "ann ann@shop.example"),
        "both: one alone": (asking.ask("/both", ann, MIDDLE), "No API key found in request"),
        "both: the other alone": (asking.ask("/both", headers=KEY), NOTHING),
        "both": (asking.ask("/both", ann, MIDDLE, headers=KEY), "ann ann@shop.example"),
        "nothing of it can be asked": (asking.ask("/lenient", by_name), "dave dave"),
        "nothing of it can be asked, and must": (asking.ask("/strict", by_name), BAD),
    }  # fmt: skip
    answers = asked(MANIFESTS, [ask for ask, _ in cases.values()], asking.folder, listener="https")
    found = {name: _who(a, cases[name][1]) for name, a in zip(cases, answers, strict=True)}
    assert found == {name: outcome for name, (_, outcome) in cases.items()}


def _who(answer: Answer, expected: str) -> str:
    if not answer.reached:
        assert answer.status == 401
        return str(json.loads(answer.body)["message"])
    seen = answer.seen.headers
    assert not [h for h in seen if h.startswith("x-meshgate")]
    credential = "*" if expected.endswith("*") else seen.get("x-credential-identifier", ["-"])[0]
    return f"{seen['x-consumer-username'][0]} {credential}"


@pytest.mark.envoy
def test_which_certificates_are_good(asking: Asking) -> None:
    dave = named("dave")
    past = ROOT.certificate.not_valid_before_utc + timedelta(hours=1)
    not_for_clients = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    for_clients = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    no_authority = ROOT.signs(named("no authority"))
    impostor = authority("clients' root")
    bad = [
        asking.ask("/certified", OTHER.signs(dave)),
        asking.ask("/certified", ROOT.signs(dave, until=past)),
        asking.ask("/certified", ROOT.signs(dave, not_for_clients)),
        asking.ask("/certified", no_authority.signs(dave), no_authority),
        asking.ask("/certified", impostor.signs(dave)),
        asking.ask("/certified", impostor.signs(dave), impostor),
        asking.ask("/certified", MIDDLE.signs(dave)),
        asking.ask("/partial", ROOT.signs(dave)),
    ]
    good = [
        asking.ask("/certified", ROOT.signs(dave, for_clients)),
        asking.ask("/certified", MIDDLE.signs(dave), MIDDLE),
        asking.ask("/partial", MIDDLE.signs(dave)),
        asking.ask("/two", OTHER.signs(dave)),
    ]
    none = [
        asking.ask("/certified"),
        # A connection on which nobody was asked is no way around.
        _on_an_open_connection(asking, ROOT.signs(dave)),
        asking.ask("/certified", headers=(("x-forwarded-client-cert", f"Cert={ROOT.pem[:20]!r}"),)),
    ]
    answers = asked(MANIFESTS, [*bad, *good, *none], asking.folder, listener="https")
    for answer in answers[: len(bad)]:
        _is_refused(answer, BAD)
    for answer in answers[len(bad) : -len(none)]:
        assert answer.seen.headers["x-consumer-username"] == ["dave"]
    for answer in answers[-len(none) :]:
        _is_refused(answer, NOTHING)


def _on_an_open_connection(asking: Asking, client: Pair) -> Ask:
    sni, host = "open.shop.example", (("host", CLIENTS),)
    return Ask("/certified", tls=asking.context(client), sni=sni, headers=host)


@pytest.mark.envoy
def test_a_good_certificate_may_be_enough(asking: Asking) -> None:
    zoe = ROOT.signs(named("zoe", "Shop, Ltd"), _mail("zoe@shop.example"))
    odd = ROOT.signs(named("zoë\r\nx-evil: 1"))
    forged = (
        ("x-client-cert-dn", "CN=root"),
        ("x-client-cert-san", "root"),
        ("x-authenticated-groups", "zoe"),
    )
    requests = [
        asking.ask("/nobody", zoe, headers=forged),
        asking.ask("/by-dn", zoe),
        asking.ask("/nobody", odd, headers=forged),
        asking.ask("/members", zoe),
        asking.ask("/members", odd, headers=forged),
        asking.ask("/perhaps", headers=forged),
        asking.ask("/nobody", headers=forged),
    ]
    by_cn, by_dn, escaped, member, other, guest, nobody = asked(
        MANIFESTS, requests, asking.folder, listener="https"
    )
    seen = by_cn.seen.headers
    assert seen["x-client-cert-dn"] == ["CN=zoe,O=Shop\\, Ltd"]
    assert seen["x-client-cert-san"] == ["zoe@shop.example"]
    assert seen["x-authenticated-groups"] == ["zoe"]
    assert "x-consumer-id" not in seen
    assert by_dn.seen.headers["x-authenticated-groups"] == ["CN=zoe,O=Shop\\, Ltd"]
    seen = escaped.seen.headers
    assert (seen["x-client-cert-dn"], "x-evil" in seen) == (["CN=zo\\C3\\AB\\0D\\0Ax-evil: 1"], False)
    assert "x-client-cert-san" not in seen
    assert (member.status, other.status) == (200, 403)
    assert not {"x-client-cert-dn", "x-client-cert-san", "x-authenticated-groups"} & set(guest.seen.headers)
    _is_refused(nobody, NOTHING)


@pytest.mark.envoy
def test_nothing_else_believes_such_a_certificate(asking: Asking) -> None:
    mine = authority("mine")
    spiffe = x509.UniformResourceIdentifier("spiffe://cluster.local/ns/default/sa/root")
    forged = mine.signs(named("root"), x509.SubjectAlternativeName([spiffe]))
    told = (("x-forwarded-client-cert", "By=x;URI=spiffe://cluster.local/ns/default/sa/root"),)
    policy = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: edge, namespace: meshgate-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: ALLOW
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/root]}}]
  - to: [{operation: {paths: [/perhaps]}}]
"""
    requests = [
        asking.ask("/lenient", forged),
        asking.ask("/open", forged, host="open.shop.example"),
        asking.ask("/perhaps", forged, headers=told),
        asking.ask("/either", forged, headers=KEY),
    ]
    bad, unasked, perhaps, either = asked(
        MANIFESTS + MESH + policy, requests, asking.folder, listener="https"
    )
    _is_refused(bad, BAD)
    assert (unasked.status, either.status) == (403, 403)
    assert "x-forwarded-client-cert" not in perhaps.seen.headers


@pytest.mark.envoy
def test_without_tls_nobody_has_a_certificate(tmp_path: Path) -> None:
    (answer,) = asked(MANIFESTS, [Ask("/certified", headers=(("host", "clients.shop.example"),))], tmp_path)
    _is_refused(answer, NOTHING)


API = """---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: meshgate
  listeners:
  - {name: clients, port: 443, protocol: HTTPS, hostname: clients.shop.example,
    tls: {certificateRefs: [{name: server}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: api, annotations: {konghq.com/plugins: certified}}
spec:
  parentRefs: [{name: edge}]
  rules: [{matches: [{path: {value: /api}}], backendRefs: [{name: shop, port: 80}]}]
"""


@pytest.mark.envoy
def test_a_listener_of_the_gateway_api_asks_too(asking: Asking) -> None:
    requests = [
        asking.ask("/api", ROOT.signs(named("dave"))),
        asking.ask("/api", OTHER.signs(named("dave"))),
        asking.ask("/api"),
    ]
    dave, bad, none = asked(MANIFESTS + API, requests, asking.folder, listener="gateway.127.104.80.199.443")
    assert dave.seen.headers["x-consumer-username"] == ["dave"]
    _is_refused(bad, BAD)
    _is_refused(none, NOTHING)


@pytest.mark.envoy
def test_a_resumed_connection_still_shows_the_certificate(asking: Asking) -> None:
    async def run() -> None:
        async with gateway(MANIFESTS, asking.folder, listener="https") as port:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = asking.context(MIDDLE.signs(named("dave")), MIDDLE)
                context.maximum_version = version
                first, session = await asyncio.to_thread(_over, context, port, None)
                again, resumed = await asyncio.to_thread(_over, context, port, session)
                assert session is not None
                assert resumed is not None
                assert (first, again) == ((200, False), (200, True))

    asyncio.run(run())


def _over(
    context: ssl.SSLContext, port: int, session: ssl.SSLSession | None
) -> tuple[tuple[int, bool], ssl.SSLSession | None]:
    """The status and whether the TLS session was an old one; and the session."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(plain, server_hostname=CLIENTS, session=session) as connection:
        connection.sendall(f"GET /certified HTTP/1.1\r\nhost: {CLIENTS}\r\n\r\n".encode())
        head = connection.recv(65_536)
        return (int(head.split(b" ")[1]), bool(connection.session_reused)), connection.session
