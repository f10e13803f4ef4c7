"""DestinationRules: balancing, pools, outliers, TLS and subsets as written."""

from __future__ import annotations

import textwrap

import pytest

from meshgate.core.origin import Origin
from meshgate.model.declared import DestinationRules
from meshgate.model.destination import (
    Balance,
    ClientTls,
    ClientTlsMode,
    ConnectionPool,
    ConsistentHash,
    LoadBalancer,
    Outliers,
    Subset,
    TrafficPolicy,
)
from tests.unit.dialects.reading import declared, read, said

HEAD = """\
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: pay, namespace: shop}
spec:
  host: payment
"""


def with_policy(fields: str) -> str:
    """A DestinationRule with these fields of `trafficPolicy`, from line 7 and column 5 on."""
    return HEAD + "  trafficPolicy:\n" + textwrap.indent(textwrap.dedent(fields).strip("\n"), "    ") + "\n"


def rules(text: str) -> DestinationRules:
    """The one DestinationRule of a text without mistakes."""
    (found,) = declared(text).destination_rules
    return found


def policy(fields: str) -> TrafficPolicy:
    """The policy that these fields give."""
    return rules(with_policy(fields)).policy


def remarks(fields: str) -> list[str]:
    """What is said about these fields, after the file and the object."""
    lines = said(with_policy(fields))
    return [line.replace(" DestinationRule shop/pay", "").removeprefix("f.yaml:") for line in lines]


def test_the_smallest_rule() -> None:
    found = rules(HEAD)
    assert (found.host, found.namespace, found.export_to) == ("payment", "shop", ())
    assert (found.policy, found.subsets, found.origin) == (TrafficPolicy(), (), Origin("f.yaml", 1, 1))


@pytest.mark.parametrize(
    ("simple", "balance"),
    [
        ("UNSPECIFIED", None),
        ("LEAST_CONN", Balance.LEAST_REQUEST),
        ("LEAST_REQUEST", Balance.LEAST_REQUEST),
        ("RANDOM", Balance.RANDOM),
        ("PASSTHROUGH", Balance.PASSTHROUGH),
        ("ROUND_ROBIN", Balance.ROUND_ROBIN),
    ],
)
def test_simple_balancing(simple: str, balance: Balance | None) -> None:
    assert policy(f"loadBalancer: {{simple: {simple}}}") == TrafficPolicy(
        balancer=LoadBalancer(simple=balance)
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("httpHeaderName: X-User", ConsistentHash(header="x-user")),
        ("useSourceIp: true", ConsistentHash(source_ip=True)),
        ("httpQueryParameterName: user", ConsistentHash(query_parameter="user")),
        (
            "httpCookie: {name: c, path: /, ttl: 0s}",
            ConsistentHash(cookie="c", cookie_path="/", cookie_ttl_ms=0),
        ),
        ("httpCookie: {name: c}", ConsistentHash(cookie="c")),
        ("useSourceIp: true, maglev: {}", ConsistentHash(source_ip=True, maglev_table_size=65537)),
        (
            "useSourceIp: true, ringHash: {minimumRingSize: 64}",
            ConsistentHash(source_ip=True, minimum_ring_size=64),
        ),
    ],
)
def test_consistent_hash(fields: str, expected: ConsistentHash) -> None:
    assert policy(f"loadBalancer: {{consistentHash: {{{fields}}}}}") == TrafficPolicy(
        balancer=LoadBalancer(hash=expected)
    )


def test_every_field_of_a_pool() -> None:
    found = policy(
        """
        connectionPool:
          tcp:
            maxConnections: 100
            connectTimeout: 30ms
            tcpKeepalive: {probes: 3, time: 2h, interval: 75s}
            maxConnectionDuration: 1m
          http:
            http1MaxPendingRequests: 1
            http2MaxRequests: 2
            maxRequestsPerConnection: 3
            maxRetries: 4
            idleTimeout: 5s
            h2UpgradePolicy: DO_NOT_UPGRADE
            maxConcurrentStreams: 6
        """
    )
    assert found.pool == ConnectionPool(
        max_connections=100,
        connect_timeout_ms=30,
        tcp_keepalive=(3, 7200, 75),
        max_connection_duration_ms=60_000,
        http1_max_pending_requests=1,
        http2_max_requests=2,
        max_requests_per_connection=3,
        max_retries=4,
        idle_timeout_ms=5000,
        h2_upgrade=False,
        max_concurrent_streams=6,
    )


def test_every_field_of_outlier_detection() -> None:
    found = policy(
        """
        outlierDetection:
          consecutive5xxErrors: 5
          consecutiveGatewayErrors: 0
          consecutiveLocalOriginFailures: 2
          splitExternalLocalOriginErrors: true
          interval: 30s
          baseEjectionTime: 1m
          maxEjectionPercent: 100
          minHealthPercent: 50
        """
    )
    assert found.outliers == Outliers(
        consecutive_5xx=5,
        consecutive_gateway_errors=0,
        consecutive_local_origin_failures=2,
        split_external_local_origin_errors=True,
        interval_ms=30_000,
        base_ejection_ms=60_000,
        max_ejection_percent=100,
        min_health_percent=50,
    )


def test_ports_and_subsets_have_policies_of_their_own() -> None:
    text = with_policy(
        """
        tls: {mode: ISTIO_MUTUAL}
        portLevelSettings:
        - {port: {number: 9000}, tls: {mode: DISABLE}}
        - {port: {number: 80}, loadBalancer: {simple: RANDOM}}
        """
    )
    found = rules(
        text
        + "  subsets:\n  - {name: v1, labels: {version: v1, app: pay}}\n"
        + "  - {name: all, trafficPolicy: {tls: {mode: DISABLE}}}\n  exportTo: [.]\n"
    )
    assert found.policy == TrafficPolicy(
        tls=ClientTlsMode.ISTIO_MUTUAL,
        ports=(
            (80, TrafficPolicy(balancer=LoadBalancer(simple=Balance.RANDOM))),
            (9000, TrafficPolicy(tls=ClientTlsMode.DISABLE)),
        ),
    )
    assert found.subsets == (
        Subset(name="v1", labels={"app": "pay", "version": "v1"}, origin=Origin("f.yaml", 12, 5)),
        Subset(
            name="all",
            labels={},
            policy=TrafficPolicy(tls=ClientTlsMode.DISABLE),
            origin=Origin("f.yaml", 13, 5),
        ),
    )
    assert found.export_to == (".",)


def test_the_old_name_of_consecutive_errors_counts_where_the_new_one_is_missing() -> None:
    fields = "outlierDetection: {consecutiveErrors: 3}"
    assert remarks(fields) == [
        "7:43: warning MG2007 spec.trafficPolicy.outlierDetection.consecutiveErrors: consecutiveErrors is "
        "deprecated; write consecutive5xxErrors: 3"
    ]
    (found,) = read(with_policy(fields)).declared.destination_rules
    assert found.policy.outliers == Outliers(consecutive_5xx=3)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            "tls: {mode: MUTUAL}",
            "7:17: error MG1104 spec.trafficPolicy.tls.mode: MUTUAL needs a certificate of the client; its "
            "host is closed; name a Secret with tls.crt, tls.key and ca.crt in credentialName, or two files",
        ),
        (
            "tls: {mode: SIMPLE, caCertificates: ca.pem}",
            "7:41: error MG2002 spec.trafficPolicy.tls.caCertificates: must be the absolute path of a file, "
            "got 'ca.pem'",
        ),
        (
            "tls: {mode: SIMPLE, caCrl: /crl}",
            "7:32: error MG2006 spec.trafficPolicy.tls.caCrl: goes with a file of caCertificates",
        ),
        (
            "tls: {mode: DISABLE, sni: a}",
            "7:31: warning MG1103 spec.trafficPolicy.tls.sni: has no effect beside mode DISABLE; use mode "
            "SIMPLE or MUTUAL, or remove it",
        ),
        (
            "tls: {mode: simple}",
            "7:17: error MG2002 spec.trafficPolicy.tls.mode: must be one of DISABLE, SIMPLE, MUTUAL or "
            "ISTIO_MUTUAL, got 'simple'; did you mean SIMPLE?",
        ),
        (
            "loadBalancer: {zoneAwareLbSetting: {enabled: true}}",
            "7:20: warning MG1103 spec.trafficPolicy.loadBalancer.zoneAwareLbSetting: requests go by "
            "localityLbSetting alone",
        ),
        (
            "loadBalancer: {simple: RANDOM, warmup: {duration: 30s}}",
            "7:36: warning MG1103 spec.trafficPolicy.loadBalancer.warmup: has no effect but with "
            "LEAST_REQUEST and ROUND_ROBIN",
        ),
        (
            "loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}",
            "7:19: error MG2006 spec.trafficPolicy.loadBalancer: must have one of simple and consistentHash",
        ),
        (
            "loadBalancer: {consistentHash: {}}",
            "7:36: error MG2003 spec.trafficPolicy.loadBalancer.consistentHash: must have one of "
            "httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName, got none",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 100}}}",
            "7:76: error MG2002 spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize: must be a "
            "prime number, got 100",
        ),
        (
            "loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 10}}",
            "7:73: warning MG2007 spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize: "
            "minimumRingSize is deprecated here; write ringHash: {minimumRingSize: 10}",
        ),
        (
            "connectionPool: {http: {http1MaxPendingRequests: -1}}",
            "7:54: error MG2002 spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests: "
            "must be >= 0, "
            "got -1",
        ),
        (
            "connectionPool: {tcp: {connectTimeout: 30}}",
            "7:44: error MG2002 spec.trafficPolicy.connectionPool.tcp.connectTimeout: must be a duration, "
            "got 30; write it like 30s, 1m30s or 250ms",
        ),
        (
            "outlierDetection: {interval: 0s}",
            "7:34: error MG2002 spec.trafficPolicy.outlierDetection.interval: must be at least 1ms, got '0s'",
        ),
        (
            "outlierDetection: {maxEjectionPercent: 101}",
            "7:44: error MG2002 spec.trafficPolicy.outlierDetection.maxEjectionPercent: must be "
            "<= 100, got 101",
        ),
        (
            "portLevelSettings: [{port: {number: 80}}, {port: {number: 80}}]",
            "7:63: error MG2006 spec.trafficPolicy.portLevelSettings[1].port.number: port 80 is there twice",
        ),
        (
            "tunnel: {targetHost: a}",
            "7:13: error MG2003 spec.trafficPolicy.tunnel.targetPort: is required",
        ),
    ],
)
def test_what_is_said_about_a_policy(fields: str, expected: str) -> None:
    assert remarks(fields) == [expected]


def test_subsets_need_names_of_their_own() -> None:
    text = HEAD + "  subsets: [{name: a}, {name: a}]\n"
    assert said(text) == [
        "f.yaml:6:31: error MG2006 DestinationRule shop/pay spec.subsets[1].name: subset a is there twice"
    ]
    assert said(HEAD + "  subsets: [{labels: {a: b}}]\n") == [
        "f.yaml:6:13: error MG2003 DestinationRule shop/pay spec.subsets[0].name: is required"
    ]


def test_a_rule_may_be_for_some_clients_only() -> None:
    assert rules(HEAD + "  workloadSelector: {matchLabels: {b: c, a: b}}\n").selector == (
        ("a", "b"),
        ("b", "c"),
    )
    assert rules(HEAD).selector is None


def test_a_closed_rule_for_some_clients_closes_the_host_for_those_alone() -> None:
    text = with_policy("tls: {mode: MUTUAL}") + "  workloadSelector: {matchLabels: {a: b}}\n"
    (found,) = read(text).declared.destination_rules
    assert found.policy.tls is ClientTlsMode.MUTUAL
    assert found.selector == (("a", "b"),)


def test_tls_that_cannot_be_had_closes_its_host_instead_of_going_in_the_clear() -> None:
    for fields in (
        "tls: {mode: MUTUAL}",
        "tls: {mode: SIMPLE, caCertificates: ca.pem}",
        "tls: {mode: SIMPLE, snj: x}",
        "tls: {mode: MUTUAL, credentialName: a, clientCertificate: /a, privateKey: /b}",
        "tls: {mode: SIMPLE, clientCertificate: /a, privateKey: /b}",
    ):
        (found,) = read(with_policy(fields)).declared.destination_rules
        assert found.policy.tls is ClientTlsMode.MUTUAL
        assert found.policy.client_tls is None


def test_tls_to_servers_outside_of_the_mesh() -> None:
    (found,) = read(
        with_policy(
            "tls: {mode: SIMPLE, caCertificates: system, credentialName: 'kubernetes://ca', sni: a.example, "
            "subjectAltNames: [b.example]}"
        )
    ).declared.destination_rules
    assert found.policy.tls is ClientTlsMode.SIMPLE
    assert found.policy.client_tls == ClientTls(
        sni="a.example", subject_alt_names=("b.example",), credential="ca"
    )
