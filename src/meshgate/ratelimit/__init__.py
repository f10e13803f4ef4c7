"""Counts requests against limits and answers Envoy's rate limit filter (RLS v3), as a process of its own.

`python -m meshgate.ratelimit --rules FILE --listen unix:PATH` follows Kong's `rate-limiting`
plugin: fixed calendar windows, Kong's identities, Kong's response headers. It is not part of
the control plane's process, so limits go on while that is away. The control plane tells it
what to count by writing the rules file (`rules_file.write_rules`), and nothing else.

It must never: read a manifest, speak xDS, keep counters that decide about anything but
requests, or log an identity, a counter key or a Redis password.

It also lends parts of limits to gateways that count by themselves (RLQS): `quota` (how much),
`quota_book` (who holds what), `quota_server` (the protocol).

The way of one request: `descriptors` (what Envoy said) -> `limiter` (which rule, whose
counter) -> `memory` or `redis_store` (count, all or nothing) -> `answer` (Kong's headers).
"""
