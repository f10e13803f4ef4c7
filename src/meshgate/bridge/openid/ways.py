"""Ways in without a browser: tokens and passwords that the request itself brings."""

from __future__ import annotations

from dataclasses import replace

from meshgate.bridge.openid import credentials
from meshgate.bridge.openid.asking import AT, Asking
from meshgate.bridge.openid.credentials import Credential
from meshgate.bridge.openid.endpoints import Form
from meshgate.bridge.openid.evidence import Evidence, Tokens
from meshgate.bridge.openid.problems import RefusedError
from meshgate.bridge.openid.tokens import MAX_TOKEN_BYTES, looks_signed
from meshgate.bridge.openid.verifying import Verifier
from meshgate.bridge.openid.visit import Visit
from meshgate.core.secret import Secret
from meshgate.model.policies.openid import OpenidClient, OpenidClientAuth, OpenIdConnect, OpenidMethod


class Ways:
    """Looks for credentials in Kong's order; the first that is there decides."""

    def __init__(self, policy: OpenIdConnect, asking: Asking, verifier: Verifier) -> None:
        self._policy, self._asking, self._verifier = policy, asking, verifier

    async def find(self, visit: Visit) -> tuple[Evidence, Credential] | None:
        """What the request's credential proves; None where it has none. Raises `RefusedError`."""
        methods, sources = self._policy.methods, self._policy.sources
        tokens = methods & {OpenidMethod.BEARER, OpenidMethod.INTROSPECTION, OpenidMethod.USERINFO}
        if tokens and (found := credentials.bearer(sources, visit.arguments)) is not None:
            visit.given = True
            return await self._token(visit, found.value), found
        client = visit.client
        if client is not None and OpenidMethod.REFRESH_TOKEN in methods:
            found = credentials.refresh_token(sources, visit.arguments)
            if found is not None:
                form: Form = (("grant_type", "refresh_token"), ("refresh_token", found.value))
                return await self._grant(visit, OpenidMethod.REFRESH_TOKEN, client, form), found
        if client is not None and OpenidMethod.PASSWORD in methods:
            found = credentials.password(sources.password, visit.arguments)
            if found is not None:
                pair = (("username", found.name), ("password", found.value))
                form = (("grant_type", "password"), *pair, self._scope())
                return await self._grant(visit, OpenidMethod.PASSWORD, client, form), found
        if OpenidMethod.CLIENT_CREDENTIALS in methods:
            found = credentials.client_secret(sources.client_credentials, visit.arguments)
            if found is not None:
                form = (("grant_type", "client_credentials"), self._scope())
                own = credentials_client(client, found)
                return await self._grant(visit, OpenidMethod.CLIENT_CREDENTIALS, own, form), found
        return None

    def _scope(self) -> tuple[str, str]:
        return "scope", " ".join(self._policy.login.scopes)

    async def _token(self, visit: Visit, token: str) -> Evidence:
        if not token or len(token) > MAX_TOKEN_BYTES:
            raise RefusedError("the token is too long")
        methods = self._policy.methods
        if OpenidMethod.BEARER in methods and looks_signed(token):
            claims = await self._verifier.signed(token, await self._verifier.expected(), visit.now)
            tokens = Tokens(access=token, expires_at=float(claims["exp"]))
            found = Evidence(method=OpenidMethod.BEARER, tokens=tokens, access_claims=claims)
            if not self._policy.introspection.jwt_too:
                return found
            return replace(found, introspected=await self._introspected(visit, token))
        endpoints = (await self._asking.provider.metadata()).endpoints
        tokens = Tokens(access=token)
        if OpenidMethod.INTROSPECTION in methods and visit.client is not None and endpoints.introspection:
            said = await self._introspected(visit, token)
            return Evidence(method=OpenidMethod.INTROSPECTION, tokens=tokens, introspected=said)
        if OpenidMethod.USERINFO in methods and endpoints.userinfo:
            info = await self._asking.user_info(visit, token, None)
            return Evidence(method=OpenidMethod.USERINFO, tokens=tokens, user_info=info)
        raise RefusedError("the token is not a signed one")

    async def _introspected(self, visit: Visit, token: str) -> dict[str, object]:
        if visit.client is None:
            raise RefusedError("there is no client to ask about the token")
        return dict(await self._asking.introspect(visit, visit.client, token))

    async def _grant(self, visit: Visit, method: OpenidMethod, client: OpenidClient, form: Form) -> Evidence:
        visit.given = True
        if method is OpenidMethod.REFRESH_TOKEN:
            answer = await self._asking.renew(visit, client, dict(form)["refresh_token"])
        else:
            answer = await self._asking.grant(visit, client, form)
        return await self._verifier.granted(method, client, answer, float(answer[AT]))


def credentials_client(client: OpenidClient | None, found: Credential) -> OpenidClient:
    """The client that the request says to be; its secret is what the provider is to judge."""
    like = client or OpenidClient(id="")
    auth = like.auth if like.auth in (OpenidClientAuth.BASIC, OpenidClientAuth.POST) else None
    return replace(like, id=found.name, secret=Secret.of(found.value), jwk=None, auth=auth)
