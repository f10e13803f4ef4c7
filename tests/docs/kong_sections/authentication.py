"""Plugins that say who calls."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.docs.kong_sections.section import Section

SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
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
        "jwt": Section(
            test="envoy/test_kong_jwt_answers.py",
            config="{claims_to_verify: [exp]}",
            text="See [jwt.md](jwt.md).",
        ),
        "key-auth": Section(
            test="simulate/test_against_envoy.py",
            config="{key_names: [apikey]}",
            text="See [key-auth.md](key-auth.md).",
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
    }
)
