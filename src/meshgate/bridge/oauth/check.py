"""Kong's `oauth2`: requests for tokens and requests with one."""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from meshgate.bridge.oauth import answers, clients
from meshgate.bridge.oauth.answers import OAuth2Error, unknown_client
from meshgate.bridge.oauth.clients import Application, Parameters
from meshgate.bridge.oauth.store import Code, Token, TokenStore
from meshgate.bridge.request import Allow, Deny, Headers, Identity, Request, Verdict
from meshgate.bridge.tools import Tools
from meshgate.model.policies.oauth import OAuth2

CODE_LASTS_S = 300
_GRANTS = {
    "authorization_code": "authorization_code",
    "client_credentials": "client_credentials",
    "password": "password",
    # Whoever could get a refresh token may use it.
    "refresh_token": "refresh_token",
}
_SCOPE, _USER = "x-authenticated-scope", "x-authenticated-userid"
OWN_HEADERS = (_SCOPE, _USER)
"""What it tells the service besides who asks."""


class OAuth2Check:
    """Hands out tokens and takes them, by one plugin."""

    def __init__(self, policy: OAuth2, tools: Tools) -> None:
        self._policy, self._tools = policy, tools
        self._applications = clients.applications(tools.directory)
        own = f"{policy.name} {policy.service}"
        self._plugin = "" if policy.global_credentials else own
        self._code_plugin = policy.name if policy.global_credentials else own

    async def ask(self, request: Request, known: Identity | None) -> Verdict:
        """Who asks by a token, or an endpoint's answer."""
        endpoint = _endpoint(request)
        if endpoint is None:
            return await self._authenticate(request)
        if request.method != "POST":
            return answers.wrong_method(self._policy.realm, request.method, endpoint)
        return await (self._issue(request) if endpoint == "token" else self._authorize(request))

    @staticmethod
    def answers_itself(request: Request) -> bool:
        """Whether it is for one of the endpoints, which are nobody else's whoever asks."""
        return _endpoint(request) is not None

    @property
    def _store(self) -> TokenStore:
        return self._tools.kept.oauth_tokens

    def _now(self) -> float:
        return self._tools.clock.now().timestamp()

    async def _authenticate(self, request: Request) -> Verdict:
        policy = self._policy
        value = request.header(policy.auth_header_name)
        parameter = ""
        if value is not None:
            parts = value.split()
            named = len(parts) == 2 and parts[0].lower() in ("bearer", "token")
            # A token by itself is one too, as in Kong.
            token = parts[-1] if named or len(parts) == 1 else ""
        else:
            try:
                token = Parameters(request).get("access_token") or ""
            except OAuth2Error:
                return answers.invalid(policy.realm)
            parameter = "access_token"
        if not token:
            return answers.invalid(policy.realm) if value else answers.missing(policy.realm)
        found = await asyncio.to_thread(self._store.token, token)
        if found is None or (found.plugin and found.plugin != self._plugin):
            return answers.invalid(policy.realm)
        if not found.plugin and not policy.global_credentials:
            said = "The access token is global, but the current plugin is configured without"
            return answers.invalid(policy.realm, f"{said} 'global_credentials'")
        application = self._applications.get(found.client_id)
        ends = [end for end in (found.expires, found.ends) if end]
        if application is None or (ends and self._now() >= min(ends)):
            return answers.invalid(policy.realm)
        told: Headers = tuple((n, v) for n, v in ((_SCOPE, found.scope), (_USER, found.user_id)) if v)
        hides = policy.hide_credentials
        return Allow(
            identity=Identity(consumer=application.consumer, credential=found.client_id),
            set_headers=told,
            remove_headers=(policy.auth_header_name,) if hides and value is not None else (),
            remove_parameters=(parameter,) if hides and parameter else (),
        )

    async def _authorize(self, request: Request) -> Deny:
        """The service's login page asks for a code or a token in a user's name."""
        parameters, target, implicit = Parameters(request), "", False
        said: dict[str, object]
        try:
            clients.https_only(self._policy, request)
            clients.provisioned(self._policy, parameters)
            user_id = clients.user(parameters)
            application = self._applications.get(parameters.get("client_id") or "")
            if application is None:
                raise unknown_client()
            # From here on the application is told, also of errors.
            target = clients.safe_redirect_uri(application, parameters)
            challenge = clients.challenge(self._policy, application, parameters)
            clients.redirect_uri(application, parameters)
            scope = clients.scope(self._policy, parameters)
            kind = parameters.get("response_type")
            grants = {"code": "authorization_code", "token": "implicit"}
            if grants.get(kind or "") not in self._policy.grants:
                raise OAuth2Error("unsupported_response_type", "Invalid response_type")
            if kind == "code":
                said = {"code": await self._code(application, user_id, scope, challenge)}
            else:
                implicit = True
                said = await self._token(application, user_id, scope, refreshable=False)
        except OAuth2Error as error:
            said = dict(error.said)
        state = _state(parameters)
        if state is not None:
            said["state"] = state
        if not target:
            return answers.told(said)
        answer = {"redirect_uri": _with(target, said, fragment=implicit)}
        return answers.told(answer, status=400 if "error" in said else 200)

    async def _code(self, application: Application, user_id: str, scope: str, challenge: str) -> str:
        code, now = secrets.token_urlsafe(24), self._now()
        found = Code(
            plugin=self._code_plugin,
            client_id=application.credential.client_id,
            user_id=user_id,
            scope=scope,
            challenge=challenge,
            ends=now + CODE_LASTS_S,
        )
        await asyncio.to_thread(self._store.add_code, code, found, now)
        return code

    async def _issue(self, request: Request) -> Deny:
        """An application asks for a token."""
        parameters, said, basic = Parameters(request), {}, False
        try:
            clients.https_only(self._policy, request)
            kind = parameters.get("grant_type") or ""
            # Of several faults Kong names who asks before what is asked for.
            identifier, secret, by_header = clients.shown_client(self._policy, request, parameters)
            known = self._applications.get(identifier)
            application = clients.authenticate(known, secret, basic=by_header)
            if kind != "client_credentials" and parameters.get("redirect_uri") is not None:
                clients.redirect_uri(application, parameters)
            allowed = kind in _GRANTS and (kind in self._policy.grants or kind == "refresh_token")
            if not allowed:
                raise OAuth2Error("unsupported_grant_type", "Invalid grant_type")
            said = await self._granted(kind, application, parameters)
        except OAuth2Error as error:
            said, basic = dict(error.said), error.basic
        state = _state(parameters)
        if state is not None:
            said["state"] = state
        return answers.told(said, basic=basic)

    async def _granted(
        self, kind: str, application: Application, parameters: Parameters
    ) -> dict[str, object]:
        match kind:
            case "authorization_code":
                return await self._redeemed(application, parameters)
            case "refresh_token":
                return await self._refreshed(application, parameters)
            case "password":
                clients.provisioned(self._policy, parameters)
                user_id = clients.user(parameters)
                scope = clients.scope(self._policy, parameters)
                return await self._token(application, user_id, scope, refreshable=True)
            case _:
                if application.public:
                    raise unknown_client()
                user_id = ""
                if parameters.get("authenticated_userid"):
                    clients.provisioned(self._policy, parameters)
                    user_id = clients.user(parameters)
                scope = clients.scope(self._policy, parameters)
                return await self._token(application, user_id, scope, refreshable=False)

    async def _redeemed(self, application: Application, parameters: Parameters) -> dict[str, object]:
        code = parameters.get("code") or ""
        found = await asyncio.to_thread(self._store.code, code)
        wrong = OAuth2Error("invalid_request", "Invalid code")
        if found is None or found.plugin != self._code_plugin or self._now() >= found.ends:
            raise wrong
        if found.client_id != application.credential.client_id:
            raise wrong
        if found.challenge or clients.needs_pkce(self._policy, application):
            clients.verify(found.challenge, parameters)
        if not await asyncio.to_thread(self._store.use_code, code):
            raise wrong
        return await self._token(application, found.user_id, found.scope, refreshable=True)

    async def _refreshed(self, application: Application, parameters: Parameters) -> dict[str, object]:
        refresh = parameters.get("refresh_token") or ""
        found = await asyncio.to_thread(self._store.refreshable, refresh)
        wrong = OAuth2Error("invalid_request", "Invalid refresh_token")
        if found is None or found.plugin != self._plugin or (found.ends and self._now() >= found.ends):
            raise wrong
        if found.client_id != application.credential.client_id:
            raise unknown_client()
        if not set(found.scope.split()) <= set(self._policy.scopes or ()):
            raise OAuth2Error("invalid_scope", "Scope mismatch")
        access = secrets.token_urlsafe(24)
        renewed = refresh if self._policy.reuse_refresh_token else secrets.token_urlsafe(24)
        token = self._made(application, found.user_id, found.scope)
        if not await asyncio.to_thread(self._store.replace, refresh, access, renewed, token):
            raise wrong
        return self._said(access, renewed)

    async def _token(
        self, application: Application, user_id: str, scope: str, *, refreshable: bool
    ) -> dict[str, object]:
        access = secrets.token_urlsafe(24)
        refresh = secrets.token_urlsafe(24) if refreshable and self._policy.token_expiration_s else ""
        token = self._made(application, user_id, scope)
        await asyncio.to_thread(self._store.add_token, access, refresh, token, self._now())
        return self._said(access, refresh)

    def _made(self, application: Application, user_id: str, scope: str) -> Token:
        policy, now = self._policy, self._now()
        lasts = policy.token_expiration_s
        keeps = policy.refresh_token_ttl_s
        return Token(
            plugin=self._plugin,
            client_id=application.credential.client_id,
            user_id=user_id,
            scope=scope,
            expires=now + lasts if lasts else 0,
            # Both are gone then, also an access token that would last longer.
            ends=now + keeps if lasts and keeps else 0,
        )

    def _said(self, access: str, refresh: str) -> dict[str, object]:
        lasts = self._policy.token_expiration_s
        found: dict[str, object] = {"access_token": access, "token_type": "bearer"}
        if lasts:
            found["expires_in"] = lasts
        if refresh:
            found["refresh_token"] = refresh
        return found


def _endpoint(request: Request) -> str | None:
    path = request.path_only.removesuffix("/")
    for ending, name in (("/oauth2/token", "token"), ("/oauth2/authorize", "authorization")):
        if path.endswith(ending):
            return name
    return None


def _state(parameters: Parameters) -> str | None:
    try:
        return parameters.get("state")
    except OAuth2Error:
        return None


def _with(address: str, said: dict[str, object], *, fragment: bool) -> str:
    parts = urlsplit(address)
    pairs = [(name, str(value)) for name, value in said.items()]
    if fragment:
        return urlunsplit(parts._replace(fragment=urlencode(pairs)))
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), *pairs])))
