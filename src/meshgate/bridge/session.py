"""Kong's `session` (3.9): who has shown who they are gets a cookie, and is known by it for a while.

Credentials that a request brings count before its cookie; if they are somebody else's, a new session
begins. What has been ended by a logout stays ended, also where the cookie holds the whole session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from urllib.parse import parse_qsl

from meshgate.bridge.request import Allow, Deny, Headers, Identity, Request, Verdict
from meshgate.bridge.session_cookie import (
    Age,
    CookieForm,
    Lifetimes,
    Sealer,
    Times,
    read_cookie,
    remove_cookie,
    set_cookie,
)
from meshgate.bridge.sessions import Content, new_session
from meshgate.bridge.tools import Tools
from meshgate.model.policies.session import Session, SessionCookie

_WITH_BODY = frozenset({"DELETE", "PATCH", "POST", "PUT"})
_PREFIX = "session-"
"""Of headers that tell of a session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A cookie with its own times: the session's, and the one that outlives the browser."""

    form: CookieForm
    lifetimes: Lifetimes
    bound_to: str
    persistent: bool = False


class SessionCheck:
    """Reads and writes the cookies of one policy."""

    def __init__(self, policy: Session, tools: Tools) -> None:
        self._policy, self._tools = policy, tools
        self._sealer = Sealer(policy.secret or tools.kept.sessions.made_up_secret, "session")
        lifetimes = Lifetimes(
            idling_s=policy.idling_s, rolling_s=policy.rolling_s, absolute_s=policy.absolute_s
        )
        self._kinds = [self._kind(policy.cookie, lifetimes)]
        if policy.remember is not None:
            lasting = Lifetimes(
                idling_s=0, rolling_s=policy.remember_rolling_s, absolute_s=policy.remember_absolute_s
            )
            self._kinds.append(self._kind(policy.remember, lasting, persistent=True))

    def _kind(self, cookie: SessionCookie, lifetimes: Lifetimes, *, persistent: bool = False) -> _Kind:
        form = CookieForm(
            name=cookie.name,
            path=cookie.path,
            domain=cookie.domain,
            same_site=cookie.same_site,
            http_only=cookie.http_only,
            secure=cookie.secure,
        )
        bound_to = json.dumps([cookie.name, self._policy.audience, self._policy.in_cookie])
        return _Kind(form=form, lifetimes=lifetimes, bound_to=bound_to, persistent=persistent)

    async def ask(self, request: Request, known: Identity | None) -> Verdict:
        """Whose session it is; a request without one goes on as it was."""
        nothing = Allow(remove_headers=self._told_names(self._policy.request_headers))
        found = await self._open(request)
        if found is None:
            return nothing
        content, cookies = found
        if self._says_goodbye(request):
            await self._tools.kept.sessions.end(content.id, self._longest)
            return Deny(status=200, headers=_set(self._gone(request)))
        consumer = self._tools.directory.by_id.get(content.consumer)
        if consumer is None:
            return replace(nothing, client_headers=_set(self._gone(request)))
        if known is not None:
            return nothing
        subject = consumer.username or consumer.custom_id or consumer.id
        told = self._told(content, subject)
        told_client = tuple((n, told[n]) for n in self._told_names(self._policy.response_headers))
        told_service = tuple((n, told[n]) for n in self._told_names(self._policy.request_headers))
        return Allow(
            identity=Identity(consumer=consumer, credential=content.credential, groups=content.groups),
            set_headers=told_service,
            client_headers=(*_set(cookies), *told_client),
        )

    async def finish(self, request: Request, so_far: Allow, known: Identity | None) -> Allow:
        """Begins a session for whom other plugins have just got to know."""
        if known is None or known.consumer is None:
            return so_far
        found = await self._open(request)
        if found is not None and found[0].is_of(known):
            return so_far
        content = new_session(known, known.consumer, self._now)
        cookies = [line for kind in self._kinds for line in await self._written(kind, content, request)]
        subject = known.consumer.username or known.consumer.custom_id or known.consumer.id
        told = self._told(content, subject)
        told_client = tuple((n, told[n]) for n in self._told_names(self._policy.response_headers))
        return replace(so_far, client_headers=(*so_far.client_headers, *_set(cookies), *told_client))

    @property
    def _now(self) -> float:
        return self._tools.clock.now().timestamp()

    @property
    def _longest(self) -> float:
        """How long a session could be shown after its end."""
        ends = [kind.lifetimes.absolute_s for kind in self._kinds]
        return max(ends) if all(ends) else 400 * 86_400

    async def _open(self, request: Request) -> tuple[Content, list[str]] | None:
        """The session, and cookies that note its use; None where there is none that counts."""
        for kind in self._kinds:
            content = await self._read(kind, request)
            if content is None:
                continue
            now = self._now
            match content.times.age(kind.lifetimes, now):
                case Age.ENDED:
                    continue
                case Age.FRESH if kind is self._kinds[0]:
                    return content, []
                case Age.TOUCH:
                    content = replace(content, times=content.times.touched(now))
                case Age.FRESH | Age.RENEW:
                    content = replace(content, times=content.times.renewed_at(now))
            if kind.persistent:
                # The browser was closed meanwhile, or the session has ended: a new one takes its place.
                fresh = replace(content, times=Times.starting(now))
                again = await self._written(kind, content, request)
                return fresh, [*await self._written(self._kinds[0], fresh, request), *again]
            return content, list(await self._written(kind, content, request))
        return None

    async def _read(self, kind: _Kind, request: Request) -> Content | None:
        text = read_cookie(kind.form, request.cookies)
        raw = self._sealer.open(text, kind.bound_to) if text is not None else None
        if raw is None:
            return None
        kept = self._tools.kept.sessions
        if self._policy.in_cookie:
            content = Content.read(raw)
        else:
            content = await kept.get(kind.form.name, raw.decode())
        return content if content is not None and not await kept.has_ended(content.id) else None

    async def _written(self, kind: _Kind, content: Content, request: Request) -> tuple[str, ...]:
        raw = content.written()
        if not self._policy.in_cookie:
            await self._tools.kept.sessions.keep(kind.form.name, content, self._longest)
            raw = content.id.encode()
        lasts = self._lasts(kind, content.times) if kind.persistent else None
        text = self._sealer.seal(raw, kind.bound_to)
        return set_cookie(kind.form, text, request.cookies, max_age_s=lasts)

    def _lasts(self, kind: _Kind, times: Times) -> int | None:
        left = [
            since + limit - self._now
            for since, limit in (
                (times.created, kind.lifetimes.absolute_s),
                (times.renewed, kind.lifetimes.rolling_s),
            )
            if limit
        ]
        return max(1, ceil(min(left))) if left else None

    def _gone(self, request: Request) -> list[str]:
        return [line for kind in self._kinds for line in remove_cookie(kind.form, request.cookies)]

    def _says_goodbye(self, request: Request) -> bool:
        policy = self._policy
        if request.method not in policy.logout_methods:
            return False
        if any(name == policy.logout_query_arg for name, _ in request.query):
            return True
        reads = policy.read_body_for_logout and request.method in _WITH_BODY
        return reads and policy.logout_post_arg in _fields(request)

    def _told_names(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_PREFIX + name for name in wanted)

    def _told(self, content: Content, subject: str) -> Mapping[str, str]:
        """Everything that can be told of a session, by header."""
        now, times, lifetimes = self._now, content.times, self._kinds[0].lifetimes
        ends = {
            "idling-timeout": times.used + lifetimes.idling_s if lifetimes.idling_s else None,
            "rolling-timeout": times.renewed + lifetimes.rolling_s if lifetimes.rolling_s else None,
            "absolute-timeout": times.created + lifetimes.absolute_s if lifetimes.absolute_s else None,
        }
        left = {name: str(max(0, int(end - now))) for name, end in ends.items() if end is not None}
        soonest = min(left.values(), key=int) if left else "0"
        found = {"id": content.id, "audience": self._policy.audience, "subject": subject, "timeout": soonest}
        return {
            _PREFIX + name: value for name, value in {**dict.fromkeys(ends, "0"), **left, **found}.items()
        }


def _set(lines: list[str]) -> Headers:
    return tuple(("set-cookie", line) for line in lines)


def _fields(request: Request) -> frozenset[str]:
    """The names in a form, or in a JSON object."""
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            said = json.loads(request.body)
        except (ValueError, RecursionError):
            return frozenset()
        return frozenset(said) if isinstance(said, dict) else frozenset()
    pairs = parse_qsl(request.body.decode("latin-1"), keep_blank_values=True)
    return frozenset(name for name, _ in pairs)
