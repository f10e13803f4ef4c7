"""What tells one answer from another: the key of a request (RFC 9111, section 2) and Vary (section 4.1).

Kong 3.9 keys by consumer, route, method, path, and the chosen parameters and headers. Here what may change
an answer unseen is in the key too, so that nobody puts an answer of theirs into others' hands: scheme
and host, headers that services take for the address, whose credentials came, a body's hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import unquote_plus

from meshgate.bridge.request import Request
from meshgate.model.policies.cached import ProxyCache

ADDRESS_HEADERS = frozenset(
    (
        "forwarded",
        "front-end-https",
        "x-forwarded-host",
        "x-forwarded-path",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-scheme",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-host",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-host",
        "x-original-uri",
        "x-original-url",
        "x-rewrite-url",
        "x-url-scheme",
    )
)
"""Headers from which many a service makes links, or chooses what it answers."""

CONSUMER, CREDENTIAL, GROUPS = "x-consumer-id", "x-credential-identifier", "x-authenticated-groups"
"""Set by the gateway alone; a client's own are gone before anything reads them."""
_COMMA = re.compile(r"\s*,\s*")

Selected = tuple[tuple[str, str | None], ...]
"""Name and value of each header that an answer depends on; None: it was not there."""


def cache_key(rule: str, policy: ProxyCache, request: Request, *, method: str = "", body: str = "") -> str:
    """The key of a request's answer, in hexadecimal digits.

    `rule` stands for the policy: what was kept by other settings is not found by these. `method`: in
    place of the request's own; `body`: the hash of its body.
    """
    path, _, query = request.path.partition("?")
    fields: dict[str, list[str]] = {}
    for name, value in request.headers:
        fields.setdefault(name, []).append(value)
    chosen = fields.keys() & (
        ADDRESS_HEADERS.union(policy.vary_headers) if policy.vary_headers else ADDRESS_HEADERS
    )
    parts = (
        rule,
        policy.route,
        method or request.method,
        request.scheme,
        request.host.lower(),
        path.lower() if policy.ignore_path_case else path,
        _parameters(query, policy.vary_parameters),
        _who(policy, fields),
        [(name, fields[name]) for name in sorted(chosen)],
        body,
    )
    # Python's own notation tells all texts apart, and is quick to write.
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def selected(names: tuple[str, ...], request: Request) -> Selected:
    """What the request says in these headers, in the one form in which they are compared."""
    return tuple((name, _normal(request, name)) for name in names)


def _normal(request: Request, name: str) -> str | None:
    lines = request.values(name)
    return _COMMA.sub(",", ",".join(lines)).strip() if lines else None


def _who(policy: ProxyCache, fields: Mapping[str, list[str]]) -> list[object]:
    """Whose answer it is. Without `cache_control` nobody says whether others may see what somebody's
    Authorization brought, so each has their own."""
    found: list[object] = [fields.get(CONSUMER) or fields.get(CREDENTIAL), fields.get(GROUPS)]
    if not policy.cache_control:
        found.append(fields.get("authorization"))
    return found


def _parameters(query: str, wanted: tuple[str, ...]) -> list[tuple[str, str]]:
    """The parameters that count, sorted by name; of one name in the order in which they came.

    Names are compared decoded, as the service reads them. Some services end a parameter at a
    semicolon: one that holds any counts whatever its name.
    """
    found = []
    for part in query.split("&"):
        name = unquote_plus(part.partition("=")[0])
        if part and (not wanted or name in wanted or ";" in part):
            found.append((name, part.partition("=")[1] + part.partition("=")[2]))
    return sorted(found, key=lambda one: one[0])
