"""Plugins that keep requests out, and the certificates of the edge."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.docs.kong_sections.section import Section

SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        "acl": Section(
            test="envoy/test_kong_acl.py",
            config="{allow: [staff]}",
            text=(
                "The groups of the consumer decide: Secrets with the label `konghq.com/credential: acl` "
                "and a `group`. Nobody known: 401 `Unauthorized`; known and not allowed: 403 `You "
                "cannot consume this service`. Groups that a credential says (`openid-connect`, `mtls-auth`) "
                "count where it is no consumer's, or with `always_use_authenticated_groups`. "
                "A consumer with a credential Secret that cannot be read "
                "is refused by every `deny`, for that Secret may have named the group. The service gets "
                "`X-Consumer-Groups`."
            ),
        ),
        "acme": Section(
            test="e2e/test_acme.py",
            config="{account_email: ops@shop.example, tos_accepted: true, domains: [shop.example]}",
            text="See [acme.md](acme.md).",
        ),
        "bot-detection": Section(
            test="envoy/test_kong_small_plugins.py",
            config="{allow: ['^our-crawler/'], deny: [curl]}",
            text=(
                "403 `Forbidden` for robots, by User-Agent: `allow`, then `deny`, then a list of our "
                "own in the spirit of Kong's. Regular expressions are RE2's. Several User-Agent headers "
                "count as one; Kong answers 400."
            ),
        ),
        "cors": Section(
            test="envoy/test_kong_cors.py",
            config="{origins: ['https://shop.example'], credentials: true, max_age: 3600}",
            text=(
                "Preflights are answered before authentication. Origins are regular expressions (RE2) "
                "as in Kong. Of a preflight from an origin that may not call, only the status is as in "
                "Kong: the headers are left out. Exposed headers are told where the request has an "
                "Origin, and in preflights too."
            ),
            notes={"preflight_continue": "works, but for several origins (warned)"},
        ),
        "ip-restriction": Section(
            test="envoy/test_kong_ip_restriction.py",
            config="{allow: [10.0.0.0/8, 127.0.0.0/8], deny: [10.6.6.6]}",
            text=(
                "403 `IP address not allowed: ADDRESS`. The address is the connection's; nothing that a "
                "client writes into X-Forwarded-For counts. Holds for connections of a TCPIngress and "
                "datagrams of a UDPIngress too ([ingress.md](ingress.md#ports-for-what-is-not-http)). "
            ),
        ),
        "opa": Section(
            test="envoy/test_kong_opa.py",
            config="{opa_host: opa, opa_path: /v1/data/shop/allow, include_consumer_in_opa_input: true}",
            text=(
                "The Open Policy Agent decides, behind `acl` and before limits. It is told of the request as "
                "in Kong's documentation (`tls` is an empty object; bodies, up to 1 MiB, are told as "
                "`http.body` and `http.parsed_body`; route and service have ids, names and what their "
                "annotations say). `false` is 403 `unauthorized`; an object may hold `allow`, `status`, "
                "`message` and `headers`, for the service or for the client. Everything else is 500: another "
                "status than 200, a policy that is not defined, no answer within 5 s. `opa_host` may be a "
                "Service of ours, which is asked without TLS between proxies. The [bridge](#the-bridge) asks."
            ),
        ),
    }
)
