"""docs/kong-plugins.md: every field of every supported plugin from the schemas, and what to know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import fill
from typing import cast

from pydantic_core import PydanticUndefined

from meshgate.dialects.kong.plugins import SUPPORTED
from meshgate.dialects.schema import Spec
from meshgate.dialects.shape import shape_of
from tests.docs.kong_sections import SECTIONS

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
`request-termination`, `grpc-web`, `correlation-id`, `prometheus` and all that trace requests or write them
down (`zipkin`, `http-log`, `statsd`, ...).
A name on an Ingress or Service and on a consumer or group means the combination alone. Of one plugin's
configurations the most specific counts, as in Kong:
consumer with route, group with route, consumer with service, group with service,
consumer, group, route, service, global. What decides who somebody is (`jwt`, `key-auth`, ...), `acl`, `cors`,
`bot-detection`, `pre-function` and `post-function` cannot be set for a consumer, as in Kong;
`zipkin` and `correlation-id`, which have no effect there in Kong, do their work once more when it is known
who asks ([kong-tracing.md](kong-tracing.md)); an id that the route's own plugin has given stays. A
consumer whose plugin or group cannot be had is not let in.

Such a route is chosen a second time when it is known who asks
([ADR 023](adr/023-variants-of-routes-for-consumers.md)); that costs only routes that have such plugins, and
of their consumers only those who have some. Limits keep their own way: of a consumer's `rate-limiting` the
numbers count, all else is as at the route's.
"""


def lines() -> Iterator[str]:
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
