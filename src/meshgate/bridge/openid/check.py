"""Kong's `openid-connect`: in which order a request is looked at, and what is answered."""

from __future__ import annotations

from dataclasses import replace

import structlog

from meshgate.bridge.openid import answers, passing
from meshgate.bridge.openid.asking import Asking
from meshgate.bridge.openid.browsers import Browsers
from meshgate.bridge.openid.code_flow import Logins
from meshgate.bridge.openid.credentials import Credential
from meshgate.bridge.openid.evidence import Evidence, demand
from meshgate.bridge.openid.keeping import Keeping
from meshgate.bridge.openid.problems import ForbiddenError, ProviderError, RefusedError
from meshgate.bridge.openid.session import Sessions
from meshgate.bridge.openid.verifying import Verifier
from meshgate.bridge.openid.visit import Visit, is_logout
from meshgate.bridge.openid.ways import Ways
from meshgate.bridge.request import Allow, Deny, Headers, Identity, Request, Verdict
from meshgate.bridge.session_store import SessionStore, StoreError
from meshgate.bridge.tools import Tools
from meshgate.model.policies.openid import OpenIdConnect, OpenidLoginAction, OpenidMethod

_log = structlog.get_logger("meshgate.bridge")

_KEPT = frozenset(
    {
        OpenidMethod.AUTHORIZATION_CODE,
        OpenidMethod.PASSWORD,
        OpenidMethod.REFRESH_TOKEN,
        OpenidMethod.CLIENT_CREDENTIALS,
    }
)
"""Ways of which a session is made. A token that the client holds itself makes none: a cookie of it
would let other sites use it."""

REPEATED_S = 10.0
"""How long Envoy lets a token in that was good, without asking again: keys may be withdrawn."""


class OpenIdCheck:
    """Decides by one plugin."""

    def __init__(self, policy: OpenIdConnect, tools: Tools) -> None:
        self._policy, self._tools = policy, tools
        secret = policy.session.secret or tools.kept.openid.secret
        asking = Asking(policy, tools)
        verifier = Verifier(policy, asking.provider)
        self._asking = asking
        kept = policy.session.store
        store = SessionStore(kept, tools.kept.redis, tools.places) if kept is not None else None
        self._sessions = Sessions(policy.session, policy.provider.issuer, secret, store)
        logins = Logins(policy.login, policy.provider.issuer, secret)
        self._ways = Ways(policy, asking, verifier)
        self._keeping = Keeping(policy, asking, verifier, self._sessions)
        self._browsers = Browsers(policy, asking, verifier, logins, self._sessions)
        self._cookie_names = frozenset(self._sessions.names() + logins.names())

    async def ask(self, request: Request, known: Identity | None) -> Verdict:
        """Who asks, or what the client is told instead."""
        policy = self._policy
        if not policy.run_on_preflight and _is_preflight(request):
            return Allow()
        try:
            visit = Visit.of(policy, request, self._tools.clock.now().timestamp())
        except RefusedError as refusal:
            return answers.unauthorized(policy, None, refusal.reason, (), given=True)
        try:
            return await self._answered(visit)
        except (ProviderError, StoreError) as problem:
            _log.warning("openid_connect_failed", issuer=policy.provider.issuer, reason=str(problem))
            return answers.unexpected(policy, visit.client, str(problem))

    async def _answered(self, visit: Visit) -> Verdict:
        policy = self._policy
        try:
            return await self._decide(visit)
        except ForbiddenError as refusal:
            await self._forget(visit, forget=policy.refusals.forget_forbidden)
            return answers.forbidden(policy, visit.client, refusal.reason, visit.cookies)
        except RefusedError as refusal:
            await self._forget(visit, forget=policy.refusals.forget_unauthorized)
            return answers.unauthorized(
                policy, visit.client, refusal.reason, visit.cookies, given=visit.given
            )

    async def _forget(self, visit: Visit, *, forget: bool) -> None:
        if forget:
            visit.cookies += await self._sessions.forget(visit.request)

    async def _decide(self, visit: Visit) -> Verdict:
        policy = self._policy
        if is_logout(policy.logout, visit):
            return await self._browsers.logout(visit)
        browsers = OpenidMethod.AUTHORIZATION_CODE in policy.methods
        if browsers and (login := self._browsers.answered(visit)) is not None:
            evidence = await self._browsers.finish(visit, *login)
            return await self._let_in(visit, evidence, back=login[1].back)
        if OpenidMethod.SESSION in policy.methods and (kept := await self._keeping.find(visit)) is not None:
            return await self._let_in(visit, kept)
        found = await self._ways.find(visit)
        if found is not None:
            return await self._let_in(visit, found[0], credential=found[1])
        if browsers:
            return await self._browsers.begin(visit)
        raise RefusedError("there is no credential")

    async def _let_in(
        self, visit: Visit, evidence: Evidence, *, credential: Credential | None = None, back: str = ""
    ) -> Verdict:
        policy = self._policy
        evidence = await self._informed(visit, evidence)
        demand(policy.demands, evidence)
        identity = passing.identify(policy.mapping, self._tools.directory, evidence)
        kept = evidence.method not in policy.session.disabled_for and evidence.method in _KEPT
        fresh = credential is not None or bool(back)
        if fresh and kept and OpenidMethod.SESSION in policy.methods and evidence.client in policy.clients:
            begun = self._keeping.begun(visit, evidence)
            visit.cookies += await self._sessions.store(visit.request, begun, visit.now)
        down, _ = passing.headers(policy.downstream, evidence)
        if fresh and evidence.method in policy.login.methods:
            answer = self._logged_in(visit, evidence, back, down)
            if answer is not None:
                return answer
        return self._allowed(visit, evidence, identity, credential, down, after_login=bool(back))

    async def _informed(self, visit: Visit, evidence: Evidence) -> Evidence:
        """With what the provider says of the user, where somebody wants to know."""
        policy = self._policy
        wanted = policy.mapping.search_user_info or policy.upstream.user_info or policy.downstream.user_info
        if not wanted or evidence.user_info is not None or not evidence.tokens.access:
            return evidence
        ends = evidence.tokens.expires_at
        info = await self._asking.user_info(visit, evidence.tokens.access, ends - visit.now if ends else None)
        if evidence.id_claims is not None and info.get("sub") != evidence.id_claims.get("sub"):
            raise RefusedError("the provider tells of another user")
        return replace(evidence, user_info=info)

    def _logged_in(self, visit: Visit, evidence: Evidence, back: str, down: Headers) -> Deny | None:
        policy, client = self._policy, evidence.client or visit.client
        match policy.login.action:
            case OpenidLoginAction.RESPONSE:
                return answers.tokens_told(policy, evidence, visit.cookies, down)
            case OpenidLoginAction.REDIRECT if client is not None:
                request = visit.request
                here = back or f"{request.scheme}://{request.host}{request.path_only}"
                return answers.redirect(answers.after_login(policy, client, here, evidence), visit.cookies)
            case _:
                return None

    def _allowed(
        self,
        visit: Visit,
        evidence: Evidence,
        identity: Identity,
        credential: Credential | None,
        down: Headers,
        *,
        after_login: bool,
    ) -> Allow:
        gone: list[str] = []
        parameters: tuple[str, ...] = ("code", "state", "session_state", "iss") if after_login else ()
        hidden = self._cookie_names
        if self._policy.hide_credentials and credential is not None:
            headers, shown, cookies = passing.hidden(credential)
            gone += headers
            parameters += shown
            hidden |= cookies
        up, empty = passing.headers(self._policy.upstream, evidence)
        cookie, no_cookie = passing.cookies_without(visit.request, hidden)
        names = {name for name, _ in up}
        return Allow(
            identity=identity,
            set_headers=up + cookie,
            remove_headers=tuple(n for n in (*gone, *empty, *no_cookie) if n not in names),
            remove_parameters=parameters,
            client_headers=down + answers.cookies(visit.cookies),
            holds_until=0 if cookie or no_cookie else self._holds_until(visit, evidence),
        )

    def _holds_until(self, visit: Visit, evidence: Evidence) -> float:
        """Until when the answer would be the same for the same token; 0 where more than that decides."""
        ends = [visit.now + REPEATED_S]
        if evidence.method is OpenidMethod.BEARER:
            ends.append(evidence.tokens.expires_at + self._policy.demands.leeway_s)
        elif evidence.method is not OpenidMethod.INTROSPECTION:
            return 0
        if evidence.user_info is not None:
            return 0
        if evidence.introspected is not None:
            # A request chooses among several clients, also by a header.
            if not self._policy.introspection.of_token_alone or len(self._policy.clients) > 1:
                return 0
            exp = evidence.introspected.get("exp")
            if isinstance(exp, int | float) and not isinstance(exp, bool):
                ends.append(float(exp))
        return min(ends)


def _is_preflight(request: Request) -> bool:
    asks = ("origin", "access-control-request-method")
    return request.method == "OPTIONS" and all(request.header(name) is not None for name in asks)
