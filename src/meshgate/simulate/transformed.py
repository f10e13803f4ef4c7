"""What the transformers make of a request or an answer, as far as that is said without the request.

Names are told and values are not: a value may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote_plus

from meshgate.model.policies.change import FieldChanges, ScriptedChanges, Template
from meshgate.model.policy import Policy, RequestTransformer, ResponseTransformer


def in_words(policy: RequestTransformer | ResponseTransformer) -> str:
    """Which fields change and how."""
    parts = [*_words(policy.headers, "header")]
    if isinstance(policy, RequestTransformer):
        script = policy.script
        method = script.method if script else policy.http_method
        parts += [f"makes it {method}"] if method else []
        if script:
            parts += _words(script.headers, "header")
            parts += _words(script.query, "query parameter")
            parts += _words(script.body, "member")
    elif policy.body is not None:
        parts.append("changes JSON")
    return "; ".join(parts) or "changes nothing else"


def _words(changes: FieldChanges | ScriptedChanges, kind: str) -> Iterable[str]:
    steps = (
        ("removes", changes.remove),
        ("renames", [f"{old} to {new}" for old, new in changes.rename]),
        ("replaces", [name for name, _ in changes.replace]),
        ("adds", [name for name, _ in changes.add]),
        ("appends", [name for name, _ in changes.append]),
    )
    return [f"{verb} {kind} {', '.join(dict.fromkeys(names))}" for verb, names in steps if names]


def with_query_changes(policies: Iterable[Policy], path: str) -> str:
    """The path with the query as `request-transformer` leaves it; unchanged where a template decides."""
    for policy in policies:
        if isinstance(policy, RequestTransformer) and policy.script is not None:
            path = _changed(policy.script.query, path)
    return path


def _changed(changes: ScriptedChanges, path: str) -> str:
    """As `form.lua` does it."""
    pairs = (*changes.replace, *changes.add, *changes.append)
    if changes == ScriptedChanges() or not all(isinstance(t, str) for _, value in pairs for t in value):
        return path
    bare, _, query = path.partition("?")
    found: dict[str, list[str | None]] = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if name:
            found.setdefault(unquote_plus(name), []).append(unquote_plus(value) if equals else None)
    before = {name: list(values) for name, values in found.items()}
    for name in changes.remove:
        found.pop(name, None)
    for old, new in changes.rename:
        if old != new and old in found:
            found[new] = found.pop(old)
    for name, template in changes.replace:
        if name in found:
            found[name] = [_text(template)]
    for name, template in changes.add:
        found.setdefault(name, [_text(template)])
    for name, template in changes.append:
        found.setdefault(name, []).append(_text(template))
    if not changes.remove and not changes.append and found == before:
        return path
    written = "&".join(_encoded(found))
    return f"{bare}?{written}" if written else bare


def _text(template: Template) -> str:
    return "".join(part for part in template if isinstance(part, str))


def _encoded(found: dict[str, list[str | None]]) -> Iterator[str]:
    for name, values in found.items():
        for value in values:
            yield quote(name, safe="") + ("" if value is None else f"={quote(value, safe='')}")
