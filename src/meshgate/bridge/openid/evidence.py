"""What is known of who asks: tokens, and what they and the provider say. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from meshgate.bridge.openid.problems import ForbiddenError
from meshgate.bridge.openid.tokens import Claims
from meshgate.model.policies.openid import ClaimPath, OpenidClient, OpenidMethod, TokenDemands


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What the token endpoint gave, or a request brought."""

    access: str = ""
    id: str = ""
    refresh: str = ""
    expires_at: float = 0
    """Of the access token, in seconds since 1970; 0: it is not said."""
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it; claims are only those that somebody vouches for."""

    method: OpenidMethod
    tokens: Tokens
    client: OpenidClient | None = None
    access_claims: Claims | None = None
    id_claims: Claims | None = None
    introspected: Claims | None = None
    user_info: Claims | None = None
    answer: Mapping[str, Any] | None = None
    """Of the token endpoint, whole."""

    def sources(self) -> Iterator[Claims]:
        """Where claims are looked for, in this order."""
        for claims in (self.access_claims, self.introspected, self.id_claims, self.user_info):
            if claims is not None:
                yield claims
        if self.tokens.scope:
            yield {"scope": self.tokens.scope}

    def find(self, path: ClaimPath) -> object:
        """The first claim of that name; None where nobody has one."""
        return next((found for claims in self.sources() if (found := at(claims, path)) is not None), None)


def at(claims: object, path: ClaimPath) -> object:
    """What is in an object at a path; a number leads into a list, and counts from 1 as in Lua."""
    found = claims
    for name in path:
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, list) and name.isascii() and name.isdigit() and 0 < int(name) <= len(found):
            found = found[int(name) - 1]
        else:
            return None
    return found


def words(claim: object) -> tuple[str, ...]:
    """A claim as words: a text's own, a list's items."""
    match claim:
        case str():
            return tuple(claim.split())
        case bool():
            return (str(claim).lower(),)
        case int() | float():
            return (str(claim),)
        case list():
            return tuple(item if isinstance(item, str) else str(item) for item in claim)
        case _:
            return ()


def demand(demands: TokenDemands, evidence: Evidence) -> None:
    """Raises `ForbiddenError` where what is known does not fulfil what is demanded."""
    for one in demands.needed:
        claim = evidence.find(one.claim)
        # A text may be one value with blanks in it, or several.
        has = {*words(claim), claim} if isinstance(claim, str) else set(words(claim))
        if not any(text in has or (text.split() and has.issuperset(text.split())) for text in one.any_of):
            raise ForbiddenError(f"{'.'.join(one.claim)} does not hold what is required")
    for name in demands.claims_forbidden:
        if any(name in claims for claims in evidence.sources()):
            raise ForbiddenError(f"the token has the claim {name}")
    if demands.domains and evidence.find(("hd",)) not in demands.domains:
        raise ForbiddenError("the token is of another domain")
