"""Logins of browsers at the provider, and their ends."""

from __future__ import annotations

import structlog

from meshgate.bridge.openid import answers, code_flow
from meshgate.bridge.openid.asking import Asking
from meshgate.bridge.openid.code_flow import Answer, Logins, Pending, with_query
from meshgate.bridge.openid.evidence import Evidence, Tokens
from meshgate.bridge.openid.problems import ProviderError, RefusedError
from meshgate.bridge.openid.session import Sessions
from meshgate.bridge.openid.verifying import Verifier
from meshgate.bridge.openid.visit import Visit
from meshgate.bridge.request import Deny
from meshgate.model.policies.openid import OpenidClient, OpenIdConnect, OpenidMethod

_log = structlog.get_logger("meshgate.bridge")


class Browsers:
    """The authorization code flow of one plugin."""

    def __init__(
        self,
        policy: OpenIdConnect,
        asking: Asking,
        verifier: Verifier,
        logins: Logins,
        sessions: Sessions,
    ) -> None:
        self._policy, self._asking, self._verifier = policy, asking, verifier
        self._logins, self._sessions = logins, sessions

    def answered(self, visit: Visit) -> tuple[Answer, Pending] | None:
        """The provider's answer and the login of this browser that it is for."""
        answer = visit.answer()
        if answer is None:
            return None
        login = code_flow.accept(answer, self._logins.read(visit.request, visit.now))
        return (answer, login) if login is not None else None

    async def begin(self, visit: Visit) -> Deny:
        """Sends the browser to the provider."""
        client, settings = visit.client, self._policy.login
        if client is None:
            raise RefusedError("there is no client to log in with")
        under_way = self._logins.read(visit.request, visit.now)
        if under_way and visit.answer() is not None:
            # Somebody else's answer, or one that was used; a new login would hide that.
            visit.given = True
            visit.cookies += self._logins.store(visit.request, ())
            raise RefusedError("the provider's answer is for no login of this browser")
        endpoints = await self._asking.endpoints(visit.now)
        metadata = endpoints.metadata
        login = code_flow.begin(
            visit.request,
            client,
            pkce=settings.pkce,
            keep_query=settings.preserve_query,
            now=visit.now,
        )
        more = [
            (name, value)
            for name in settings.client_arguments
            if (value := visit.arguments.query(name)) is not None
        ]
        form = code_flow.parameters(settings, client, login, more)
        if not metadata.endpoints.authorization:
            raise ProviderError("the provider has no authorization endpoint")
        if settings.pushed or (settings.pushed is None and metadata.needs_pushed):
            form = (("client_id", client.id), ("request_uri", await endpoints.push(client, form)))
        visit.cookies += await self._sessions.forget(visit.request)
        visit.cookies += self._logins.store(visit.request, (*under_way, login))
        return answers.redirect(with_query(metadata.endpoints.authorization, form), visit.cookies)

    async def finish(self, visit: Visit, answer: Answer, login: Pending) -> Evidence:
        """Gets the tokens of a login. Raises `RefusedError` where it is not to be trusted."""
        visit.given = True
        others = [one for one in self._logins.read(visit.request, visit.now) if one != login]
        visit.cookies += self._logins.store(visit.request, others)
        client = next((c for c in self._policy.clients if c.id == login.client_id), None)
        if client is None:
            raise RefusedError("the login's client is no longer known")
        visit.client = client
        metadata = await self._asking.provider.metadata()
        code_flow.verify_answer(answer, metadata.issuer, says_issuer=metadata.says_issuer)
        said = await self._asking.redeem(visit, client, code_flow.redemption(answer, login))
        return await self._verifier.granted(
            OpenidMethod.AUTHORIZATION_CODE, client, said, visit.now, nonce=login.nonce
        )

    async def logout(self, visit: Visit) -> Deny:
        """Ends the session here, and at the provider where it has a way to."""
        found = await self._sessions.read(visit.request, visit.now)
        tokens = found[0].tokens if found is not None else Tokens()
        names = {found[0].client_id} if found is not None else set()
        client = next((c for c in self._policy.clients if c.id in names), visit.client)
        visit.cookies += await self._sessions.forget(visit.request)
        ending = ""
        try:
            ending = await self._end(visit, client, tokens)
        except ProviderError as problem:
            # Whatever the provider does, the browser has no session any more.
            _log.warning("logout_failed", issuer=self._policy.provider.issuer, reason=str(problem))
        target = client.logout_redirect_uri if client is not None else ""
        if ending and client is not None:
            form = [("client_id", client.id)]
            form += [("id_token_hint", tokens.id)] if tokens.id else []
            form += [("post_logout_redirect_uri", target)] if target else []
            return answers.redirect(with_query(ending, form), visit.cookies)
        if target:
            return answers.redirect(target, visit.cookies)
        return Deny(status=200, headers=(answers.NO_STORE, *answers.cookies(visit.cookies)))

    async def _end(self, visit: Visit, client: OpenidClient | None, tokens: Tokens) -> str:
        """Revokes what is to be revoked; gives the address that ends the provider's own session."""
        policy, endpoints = self._policy, await self._asking.endpoints(visit.now)
        for wanted, token, hint in (
            (policy.logout.revoke_access, tokens.access, "access_token"),
            (policy.logout.revoke_refresh, tokens.refresh, "refresh_token"),
        ):
            if wanted and token and client is not None:
                name = policy.revocation_token_name
                await endpoints.revoke(client, policy.revocation_auth, name, token, hint)
        return endpoints.metadata.endpoints.end_session
