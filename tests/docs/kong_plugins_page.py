"""docs/kong-plugins.md: every field of every supported plugin from the schemas, and what to know."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import fill
from types import MappingProxyType
from typing import cast

from pydantic_core import PydanticUndefined

from meshgate.dialects.kong.plugins import SUPPORTED
from meshgate.dialects.kong.plugins.openid_connect.config import ONLY_DEFAULT
from meshgate.dialects.kong.plugins.openid_connect.redis_fields import FlatSessionRedis
from meshgate.dialects.schema import Spec
from meshgate.dialects.shape import shape_of
from meshgate.model.service import EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What a plugin's part of the page says besides its fields."""

    test: str
    """File of the test against a real Envoy, under tests/."""
    config: str
    """An example in YAML's flow style."""
    text: str
    """What it does, and where it differs from Kong."""
    notes: Mapping[str, str] = EMPTY
    """Field -> its state, where it does not just work."""


_HANDSHAKE = {"certificate": "closed where set", "rewrite": "works, just before access"}

SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        "acme": Section(
            test="e2e/test_acme.py",
            config="{account_email: ops@shop.example, tos_accepted: true, domains: [shop.example]}",
            text="See [acme.md](acme.md).",
        ),
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
        "basic-auth": Section(
            test="envoy/test_kong_basic_auth.py",
            config="{hide_credentials: true}",
            text=(
                "A username and a password: Secrets with the label `konghq.com/credential: basic-auth`. "
                "Envoy's configuration holds SHA-1 hashes of the passwords, never themselves; choose "
                "long ones. `Proxy-Authorization` comes before `Authorization`; where both are there, "
                "the first alone counts. With other plugins that authenticate, all must agree."
            ),
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
        "correlation-id": Section(
            test="envoy/test_kong_transformers.py",
            config="{generator: uuid, echo_downstream: true}",
            text=(
                "A header that names the request, kept where the client sent one. `uuid#counter` is a "
                "new UUID and the number of the connection, `tracker` ends in a UUID and the time: "
                "Envoy does not count requests. A header that is there and empty stays empty."
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
        "datadog": Section(
            test="envoy/test_kong_logs.py",
            config="{host: 127.0.0.1, port: 8125}",
            text="Numbers about each request, with tags: see [kong-logs.md](kong-logs.md#numbers).",
            notes={"metrics": "works; default: Kong's six"},
        ),
        "file-log": Section(
            test="envoy/test_kong_logs.py",
            config="{path: /var/log/shop/requests.log}",
            text="See [kong-logs.md](kong-logs.md).",
        ),
        "grpc-gateway": Section(
            test="envoy/test_kong_grpc_gateway.py",
            config="{proto: protos/shop.proto}",
            text=(
                "JSON becomes gRPC: see [grpc.md](grpc.md). Instead of by a file, the service can be "
                "described by a ConfigMap or by itself."
            ),
        ),
        "grpc-web": Section(
            test="envoy/test_kong_small_plugins.py",
            config="{allow_origin_header: 'https://shop.example'}",
            text=(
                "gRPC-Web of browsers becomes gRPC; name the Service's port `grpc`. Requests that are "
                "no gRPC-Web pass as they are; Kong answers 400. With `proto` requests may be JSON too "
                "([grpc.md](grpc.md#grpc-web))."
            ),
            notes={"pass_stripped_path": "the path is as konghq.com/strip-path says"},
        ),
        "hmac-auth": Section(
            test="envoy/test_kong_hmac_auth.py",
            config="{enforce_headers: [x-date, '@request-target'], validate_request_body: true}",
            text=(
                "A signature over parts of the request, made with a secret that only the consumer has: "
                "Secrets with the label `konghq.com/credential: hmac-auth`, a `username` and a `secret`. "
                "Name in `enforce_headers` what must be signed: else a client may sign the date alone, "
                "and whoever sees that signature can use it for another request. `(request-target)` does "
                "as well as `@request-target`; of a header that is there several times all values are "
                "signed, joined by `, `. `validate_request_body` holds back bodies until they are whole, "
                "up to 1 MiB (413). `hmac-sha224` must be asked for. The [bridge](#the-bridge) decides."
            ),
        ),
        "http-log": Section(
            test="envoy/test_kong_logs.py",
            config="{http_endpoint: 'http://127.0.0.1:9880/requests', queue: {max_batch_size: 100}}",
            text="See [kong-logs.md](kong-logs.md).",
        ),
        "ip-restriction": Section(
            test="envoy/test_kong_ip_restriction.py",
            config="{allow: [10.0.0.0/8, 127.0.0.0/8], deny: [10.6.6.6]}",
            text=(
                "403 `IP address not allowed: ADDRESS`. The address is the connection's; nothing that a "
                "client writes into X-Forwarded-For counts. "
            ),
        ),
        "jwt": Section(
            test="e2e/test_shop_jwt.py", config="{claims_to_verify: [exp]}", text="See [jwt.md](jwt.md)."
        ),
        "key-auth": Section(
            test="simulate/test_against_envoy.py",
            config="{key_names: [apikey]}",
            text="See [key-auth.md](key-auth.md).",
            notes={"run_on_preflight": "no effect: preflights need a key"},
        ),
        "opentelemetry": Section(
            test="envoy/test_kong_tracing.py",
            config="{traces_endpoint: 'http://127.0.0.1:4318/v1/traces', sampling_rate: 0.1}",
            text="Each request as spans: see [kong-tracing.md](kong-tracing.md).",
            notes={
                "endpoint": "works (old spelling of `traces_endpoint`)",
                "header_type": "works (old spelling; not given: `preserve`)",
                "batch_span_count": "works (old spelling of `queue.max_batch_size`)",
                "batch_flush_delay": "works (old spelling of `queue.max_coalescing_delay`)",
                "sampling_rate": "works; default: 0.01, kong.conf's",
                "resource_attributes": "works, but for templates (warned; sent as they are)",
            },
        ),
        "post-function": Section(
            test="envoy/test_kong_functions.py",
            config='{access: [\'kong.service.request.set_header("x-by", "gateway")\']}',
            text="As `pre-function`, behind all other plugins.",
            notes=_HANDSHAKE,
        ),
        "pre-function": Section(
            test="envoy/test_kong_functions.py",
            config="{access: ['kong.log(kong.request.get_path())']}",
            text=(
                "Lua of your own before all other plugins, in Envoy. The route answers 503 unless meshgate "
                "runs with `--allow-lua`. What such Lua may use: [lua.md](lua.md)."
            ),
            notes=_HANDSHAKE,
        ),
        "ldap-auth": Section(
            test="envoy/test_kong_ldap_auth.py",
            config="{ldap_host: ldap.example, ldaps: true, verify_ldap_host: true, ldap_port: 636, "
            "base_dn: 'ou=people,dc=example', attribute: uid}",
            text=(
                "Whoever can bind to the directory as `ATTRIBUTE=NAME,BASE_DN` gets in, and is no "
                "consumer: the service gets `X-Credential-Identifier`. Credentials are read from "
                "Proxy-Authorization, then from Authorization, with the word `header_type` before them. "
                "Names are escaped, so that none leads to another place in the directory, and empty "
                "passwords are refused. A good password is remembered for `cache_ttl` as a keyed hash; "
                "a bad one is asked about again. 401 `Unauthorized` whatever the directory says but "
                "yes; 500 where it cannot be asked, or its certificate is not good (`SSL_CERT_FILE` "
                "names other authorities than the system's). Without `ldaps` or `start_tls` passwords "
                "go to it in the clear. The [bridge](#the-bridge) asks."
            ),
        ),
        "loggly": Section(
            test="envoy/test_kong_logs.py",
            config="{key: only-an-example, tags: [shop]}",
            text="See [kong-logs.md](kong-logs.md). The key is in no message of ours.",
        ),
        "mtls-auth": Section(
            test="envoy/test_kong_mtls_auth.py",
            config="{ca_certificates: [cce8c384-721f-4f58-85dd-50834e3e733a]}",
            text=(
                "The client's certificate says who asks. `ca_certificates` are the ids of Secrets with the "
                'label `konghq.com/ca-cert: "true"`, an `id` and a `cert`. Who belongs to a certificate is '
                "told by Secrets with the label `konghq.com/credential: mtls-auth` and a `subject_name` (and "
                "the id of one authority as `ca_certificate`), else by the consumers' names: the alternative "
                "names of the certificate, or its CN where it has none. 401 `No required TLS certificate was "
                "sent`, `TLS certificate failed verification`, or `Unauthorized` where it is nobody's. "
                "Over HTTPS the gateway asks clients for a certificate only for hosts that have such a "
                "route, takes any or none, and the [bridge](#the-bridge) judges it for each route; "
                "nothing else believes it: X-Forwarded-Client-Cert says nothing there, and no rule of an "
                "AuthorizationPolicy about principals takes the client for anybody. A client that sends "
                "no server name is asked only where the Ingress has no host. OCSP and lists (CRL) are "
                "asked over HTTP; an authority that does not answer is left alone for 10 s. Certificates "
                "need RSA with 2048 bits or more, or ECDSA. Not over HTTP/3. `X-Client-Cert-Dn` and "
                "`X-Client-Cert-San` "
                "tell the service of it with `skip_consumer_lookup`."
            ),
            notes={"cache_ttl": "works: consumers are looked up at no cost"},
        ),
        "oauth2": Section(
            test="envoy/test_kong_oauth2.py",
            config=(
                "{scopes: [read, write], mandatory_scope: true, enable_client_credentials: true, "
                "enable_authorization_code: true, provision_key: demo-only}"
            ),
            text=(
                "The gateway hands out tokens (RFC 6749) to applications: Secrets with the label "
                "`konghq.com/credential: oauth2`, a `name`, a `client_id`, a `client_secret` and "
                "`redirect_uris` (separated by commas); with `client_type: public` no secret. `POST "
                ".../oauth2/token` and `POST .../oauth2/authorize` on the route's paths are the "
                "endpoints, by HTTPS alone. Your login page asks for a code with the `provision_key` and "
                "`authenticated_userid`. Tokens are kept as hashes in `oauth2.db` in the state directory "
                "and survive restarts; they are good for the KongPlugin and the service that handed them out "
                "(in Kong: for all plugins of the service). With `refresh_token_ttl` both tokens of a pair "
                "end. `accept_http_if_already_terminated` believes `X-Forwarded-Proto` of the proxies that "
                "`numTrustedProxies` counts ([mesh-config.md](mesh-config.md)), and of nobody else. Public "
                "applications get no token by `client_credentials` (RFC 6749). Secrets "
                "are compared as they are; `hash_secret` has no effect. A "
                "parameter that has two values is refused; bodies are read up to 16 KiB, and a token in "
                "one is not taken out of it. The [bridge](#the-bridge) decides."
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
        "openid-connect": Section(
            test="envoy/test_kong_openid_login.py",
            config=(
                "{issuer: 'https://login.example', client_id: [shop], client_secret: [demo-only], "
                "auth_methods: [authorization_code, session], login_action: redirect}"
            ),
            text=(
                "Sold by Kong. Browsers log in at an identity provider, programs bring its tokens: see "
                "[openid-connect.md](openid-connect.md). Where a default alone is understood, another "
                "value is warned, or closes the route."
            ),
            notes={
                **{
                    name: f"its default alone; others are {'closed' if rule.closes else 'warned'}"
                    for name, rule in ONLY_DEFAULT.items()
                },
                "auth_methods": "works, but for kong_oauth2 (warned)",
                "client_auth": "works, but for client certificates (closed)",
                "response_mode": "query and form_post work; others are closed",
                "cluster_cache_strategy": "its default alone; others are warned",
                "session_storage": "cookie and redis work; memcached is closed",
                **{
                    name: "old spelling, warned"
                    for name in FlatSessionRedis.model_fields
                    if name.startswith("session_redis_")
                },
                **dict.fromkeys(
                    (
                        "redis.cluster_addresses",
                        "redis.sentinel_addresses",
                        "redis.cluster_nodes",
                        "redis.sentinel_nodes",
                        "redis.sentinel_master",
                        "redis.socket",
                    ),
                    "closed with `session_storage: redis`",
                ),
                **dict.fromkeys(
                    (
                        "redis.cluster_max_redirections",
                        "redis.sentinel_role",
                        "redis.sentinel_username",
                        "redis.sentinel_password",
                        "redis.keepalive_pool_size",
                        "redis.keepalive_backlog",
                        "redis.connection_is_proxied",
                    ),
                    "warned, no effect",
                ),
            },
        ),
        "proxy-cache": Section(
            test="envoy/test_kong_proxy_cache.py",
            config="{strategy: memory, cache_control: true}",
            text=(
                "Answers of the service are kept in memory and given again; with `cache_control` by "
                "RFC 9111. [caching.md](caching.md) tells what is kept, whose answer it is, how to purge, "
                "and what differs from Kong: answers with `Set-Cookie` are not kept, `Vary` is kept apart, "
                "stale answers are revalidated. While the process is away that keeps them, requests pass."
            ),
            notes={"memory.dictionary_name": "keeps apart what has other names"},
        ),
        "prometheus": Section(
            test="envoy/test_kong_prometheus.py",
            config="{per_consumer: true, status_code_metrics: true, latency_metrics: true}",
            text=(
                "Envoy counts; `meshgate metrics` and `--metrics-port` show it ([kong-logs.md](kong-logs.md"
                "#metrics)). As in Kong 3 nothing but what is asked for is counted."
            ),
        ),
        "rate-limiting": Section(
            test="envoy/test_ratelimit_service.py",
            config="{minute: 100, policy: local}",
            text="See [rate-limiting.md](rate-limiting.md).",
            notes={"policy": "works, `quota` too; cluster is closed", "sync_rate": "warned, no effect"},
        ),
        "redirect": Section(
            test="envoy/test_kong_small_plugins.py",
            config="{status_code: 308, location: 'https://new.example', keep_incoming_path: true}",
            text="After authentication and limits, as in Kong.",
        ),
        "request-size-limiting": Section(
            test="envoy/test_kong_small_plugins.py",
            config="{allowed_payload_size: 8, size_unit: kilobytes}",
            text=(
                "413 `Request size limit exceeded`. A body without Content-Length is held back until it "
                "is whole or too long. With `require_content_length` chunked bodies get 411 too, which "
                "Kong lets pass; Kong's 417 for `Expect: 100-continue` is a 413. Where "
                "`response-transformer` changes JSON on the same route, answers to requests without "
                "Content-Length may be at most as long as the limit (else 500)."
            ),
        ),
        "request-termination": Section(
            test="envoy/test_kong_request_termination.py",
            config="{status_code: 503, message: back at noon}",
            text=(
                "The gateway answers, after authentication and limits. With `echo` the answer shows the "
                "request and the name of its route; what Kong tells of its own process is left out."
            ),
        ),
        "request-transformer": Section(
            test="envoy/test_kong_bodies.py",
            config="{add: {headers: ['x-from:gateway'], body: ['via:$(headers.user-agent or \"none\")']}}",
            text=(
                "Headers, query, body, path and method, in Kong's order. Envoy's own filters do it where "
                "they suffice, which sort query parameters by name; else a program in Lua does all of it, "
                "for bodies, renamed parameters, templates beyond one name, and `http_method` GET, HEAD "
                "or TRACE. Of templates `$(headers.NAME)`, `$(query_params.NAME)`, `$(uri_captures.NAME)`, "
                "`$(uri_captures[1])` and `$(shared.NAME)` work, also as choices: `$(headers.a or 'none')`; "
                "other Lua closes the route. Members of JSON that nobody changes stay as they were "
                "written, whatever their size and depth. A body that is not what Content-Type says passes "
                "as it is, as in Kong; one of more than 8 MiB gets 413. `Host` can be replaced. A path "
                "that a template makes is refused with 400 where it holds `.` or `..`."
            ),
        ),
        "response-ratelimiting": Section(
            test="envoy/test_kong_response_ratelimiting.py",
            config="{limits: {video: {minute: 10, day: 100}, sms: {day: 5}}}",
            text=(
                "The service says what a request has cost: `X-Kong-Limit: video=2, sms=1`, which the client "
                "does not see. It is told before what is left (`X-RateLimit-Remaining-video`), the client "
                "after (`X-RateLimit-Limit-video-minute`, `X-RateLimit-Remaining-video-minute`). Who has "
                "used up a limit gets 429 without a body in place of an answer that costs more of it, or at "
                "once with `block_on_first_violation`: `API rate limit exceeded for 'video'`. The answer "
                "that goes beyond a limit still passes, as in Kong. `policy: local` counts in the memory of "
                "the rate limit service, for all gateways. Envoy shows that service the headers of such "
                "routes' requests and answers, which costs two questions a request."
            ),
            notes={"policy": "works, but for cluster (closed)"},
        ),
        "response-transformer": Section(
            test="envoy/test_kong_bodies.py",
            config="{remove: {json: [secret]}, add: {json: ['ok:true'], json_types: [boolean]}}",
            text=(
                "Headers and JSON members of every answer, the gateway's own too. Members that nobody "
                "changes stay as they were written. A body that cannot be read as a JSON object (it may "
                "be compressed) passes as it is, as in Kong; one of more than 8 MiB makes a 500."
            ),
        ),
        "session": Section(
            test="envoy/test_kong_session.py",
            config="{secret: 'make one with: openssl rand -base64 32', cookie_name: shop}",
            text=(
                "Whom another plugin has got to know gets a cookie, and is known by it on later "
                "requests: consumer, credential and groups. Give the plugins beside it `anonymous`, for "
                "one without it stays a must. The cookie is encrypted and bound to its name and "
                "`audience` by a key from `secret`; a session that is too long for one cookie is in "
                "several. Credentials that a request brings count before its cookie (Kong tries the "
                "cookie first), and begin a new session if they are somebody else's. `storage: kong` "
                "keeps sessions in `sessions.db` in the state directory, under hashes: the cookie names "
                "one, and a new start of the bridge changes nothing. Without `secret` all "
                "end then. A logout is a request by one of "
                "`logout_methods` with `logout_query_arg` in its query (or `logout_post_arg` in a form "
                "or JSON object, up to 1 MiB, with `read_body_for_logout`): it gets 200, and what it "
                "ended stays ended even where somebody has a copy of the cookie, in every "
                "storage. Who is no consumer (`ldap-auth`) gets no session, as in Kong. Services "
                "see the cookie."
            ),
            notes={
                **dict.fromkeys(("cookie_lifetime", "cookie_idletime"), "old spelling, warned"),
                **dict.fromkeys(("cookie_samesite", "cookie_httponly"), "old spelling, warned"),
                "cookie_persistent": "old spelling, warned",
            },
        ),
        "statsd": Section(
            test="envoy/test_kong_logs.py",
            config="{host: 127.0.0.1, port: 8125, tag_style: dogstatsd}",
            text="Numbers about each request: see [kong-logs.md](kong-logs.md#numbers).",
            notes={"metrics": "works, but for `shdict_usage` (warned); default: Kong's others"},
        ),
        "syslog": Section(
            test="envoy/test_kong_logs.py",
            config="{facility: local3, log_level: warning, server_errors_severity: err}",
            text="See [kong-logs.md](kong-logs.md). The message goes to `/dev/log` of this machine.",
        ),
        "tcp-log": Section(
            test="envoy/test_kong_logs.py",
            config="{host: 127.0.0.1, port: 5170}",
            text="See [kong-logs.md](kong-logs.md).",
        ),
        "zipkin": Section(
            test="envoy/test_kong_tracing.py",
            config="{http_endpoint: 'http://127.0.0.1:9411/api/v2/spans', sample_ratio: 0.1}",
            text="Each request as spans: see [kong-tracing.md](kong-tracing.md).",
            notes={
                "header_type": "works (old spelling; not given: `preserve`)",
                "default_header_type": "works (old spelling; not given: `b3`)",
                "phase_duration_flavor": "works, by Envoy's moments",
            },
        ),
        "udp-log": Section(
            test="envoy/test_kong_logs.py",
            config="{host: 127.0.0.1, port: 5171}",
            text="See [kong-logs.md](kong-logs.md).",
        ),
    }
)

HEAD = """
# Kong's plugins

GENERATED

A KongPlugin is named by the annotation `konghq.com/plugins` of an Ingress or a Service
([ingress.md](ingress.md)). The plugins run in Kong's own order: those that say who calls, then
those that refuse, then limits, then those that change. States of a field:

- **works**: as in Kong, but for what the plugin's part below says.
- **warned**: a warning names it (`MG1103`); it has no effect.
- **closed**: an error names it (`MG1104`), and the route answers 503.

A value that is not allowed is an error (`MG2103`) that closes the route too. Every plugin is held
against a real Envoy by the test in the last column.
"""

TAIL = """
## Plugins that are not here

What refers to one of them answers 503. The list is in
[kinds.md](kinds.md#plugins-that-are-refused).

## Config out of Secrets

`configFrom` takes the whole config from a key of a Secret (YAML or JSON), `configPatches` puts values of
Secrets at paths of it (JSON pointers; a value that is not JSON is a text). A KongClusterPlugin names the
Secret's namespace too. When a Secret changes the plugin does. No message shows what a Secret holds.

```yaml
apiVersion: v1
kind: Secret
metadata: {name: redis}
stringData: {password: only-an-example}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: example}
plugin: rate-limiting
config: {minute: 100, policy: redis, redis: {host: redis.example}}
configPatches:
- path: /redis/password
  valueFrom: {secretKeyRef: {name: redis, key: password}}
```

## Several that authenticate

Where a route has two of them, both must agree (Kong's AND), and the last in Kong's order says who asks.
With `anonymous` on each of them one is enough (Kong's OR): the first that finds a valid credential says who
asks, `jwt`, `key-auth` and `basic-auth` before those that the bridge carries out.
Whoever has none goes on as the KongConsumer that `anonymous` names, with
`X-Anonymous-Consumer: true`; refuse that consumer with `acl`, or give it a limit of its own. A plugin
without `anonymous` among them stays a must.

## The bridge

What Envoy cannot do itself it asks a process of Meshgate's, which is started only where a plugin needs it
([ADR 017](adr/017-a-bridge-for-what-envoy-cannot-do.md)). While it is away, requests to routes with
such a plugin get 500.

## Consumers and groups

A KongConsumer or a KongConsumerGroup (a consumer says which groups it is in by `consumerGroups`) can
name plugins too, which then hold for it alone: `rate-limiting`, `response-ratelimiting` (with one count
on all routes, unless it is for a combination), `ip-restriction`, `request-size-limiting`,
`request-transformer`, `response-transformer`, `redirect`, `proxy-cache`, `grpc-gateway`,
`request-termination`, `prometheus` and all that write requests down (`http-log`, `statsd`, ...).
A name on an Ingress or Service and on a consumer or group means the combination alone. Of one plugin's
configurations the most specific counts, as in Kong:
consumer with route, group with route, consumer with service, group with service,
consumer, group, route, service, global. What decides who somebody is (`jwt`, `key-auth`, ...), `acl`, `cors`,
`bot-detection`, `pre-function` and `post-function` cannot be set for a consumer, as in Kong;
`correlation-id`, `zipkin` and `opentelemetry` run before it is known who asks, and Envoy's filter for
`grpc-web` is on for a route or off: they have no effect there (warned). A
consumer whose plugin or group cannot be had is not let in.

Such a route is chosen a second time when it is known who asks
([ADR 023](adr/023-variants-of-routes-for-consumers.md)); that costs only routes that have such plugins, and
of their consumers only those who have some. Limits keep their own way: of a consumer's `rate-limiting` the
numbers count, all else is as at the route's.
"""


def kong_plugins_page() -> Iterator[str]:
    """The page's lines after its head."""
    yield from ("## All fields", "", "| plugin | field | default | state | test |", "|---|---|---|---|---|")
    for name, plugin in sorted(SUPPORTED.items()):
        section = SECTIONS[name]
        for field, default, state in _fields(plugin.config, ""):
            told = section.notes.get(field, state)
            yield f"| {name} | `{field}` | {default} | {told} | `{section.test}` |"
    yield ""
    for name, section in sorted(SECTIONS.items()):
        yield from (
            f"## {name}",
            "",
            fill(section.text, 100, break_on_hyphens=False),
            "",
            "```yaml",
            "apiVersion: configuration.konghq.com/v1",
        )
        yield from ("kind: KongPlugin", "metadata: {name: example}", f"plugin: {name}")
        yield from (f"config: {section.config}", "```", "")
    yield TAIL.strip()


def _fields(spec: type[Spec], path: str) -> Iterator[tuple[str, str, str]]:
    """(field, default, state) of a config, records in it field by field."""
    shape = shape_of(spec)
    for attribute, info in spec.model_fields.items():
        name = f"{path}{info.alias or attribute}"
        child = shape.get(info.alias or attribute)
        if child is not None and child.many is None:
            yield from _fields(child.model, f"{name}.")
            continue
        yield name, _default(info.get_default()), "works"
    for name in spec.UNSUPPORTED:
        yield path + name, "", "warned"
    for name in spec.UNSUPPORTED_SECURITY:
        yield path + name, "", "closed"


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "required"
    if value is None or value == "":
        return ""
    shown = list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value
    return f"`{json.dumps(shown)}`"
