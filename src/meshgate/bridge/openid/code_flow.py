"""The authorization code flow (OpenID Connect Core 1.0, 3.1): where a login begins and how it comes back.

What belongs to a login (state, nonce, PKCE's verifier, where to go afterwards) is in a sealed cookie of
the browser that began it: an answer that another browser brings is refused, whoever made it. Several
logins can be under way, for people open several tabs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from meshgate.bridge.openid.problems import RefusedError
from meshgate.bridge.openid.session import cookie_form
from meshgate.bridge.openid.tokens import same
from meshgate.bridge.request import Request
from meshgate.bridge.session_cookie import Sealer, read_cookie, remove_cookie, set_cookie
from meshgate.core.secret import Secret
from meshgate.model.policies.openid import OpenidClient, OpenidLogin

PURPOSE = "openid-connect login"
MOST_LOGINS = 4
_LONGEST_ADDRESS = 1500
_BACK_ARGUMENTS = ("code", "state", "session_state", "iss")
"""What an answer adds to a query."""

Form = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A login that has begun."""

    state: str
    nonce: str
    verifier: str
    """PKCE's (RFC 7636); empty: without."""
    client_id: str
    redirect_uri: str
    back: str
    """The address that was asked for first."""
    created: float


class Logins:
    """Reads and writes the cookie of logins that are under way."""

    def __init__(self, settings: OpenidLogin, issuer: str, secret: Secret) -> None:
        self._settings, self._issuer = settings, issuer
        self._sealer = Sealer(secret, PURPOSE)

    def read(self, request: Request, now: float) -> tuple[Pending, ...]:
        """Those that have not ended, oldest first."""
        form = cookie_form(self._settings.cookie, request.scheme)
        text = read_cookie(form, request.cookies)
        raw = self._sealer.open(text, self._issuer) if text else None
        if raw is None:
            return ()
        found = (Pending(**one) for one in json.loads(raw))
        lasts_s = self._settings.lasts_s
        return tuple(one for one in found if not lasts_s or one.created <= now < one.created + lasts_s)

    def store(self, request: Request, logins: Sequence[Pending]) -> tuple[str, ...]:
        """Values of Set-Cookie."""
        form = cookie_form(self._settings.cookie, request.scheme)
        if not logins:
            return remove_cookie(form, request.cookies)
        content = json.dumps([asdict(one) for one in logins[-MOST_LOGINS:]]).encode()
        return set_cookie(form, self._sealer.seal(content, self._issuer), request.cookies)

    def names(self) -> tuple[str, ...]:
        """Of all its cookies, which no service needs to see."""
        return cookie_form(self._settings.cookie, "").names()


def begin(request: Request, client: OpenidClient, *, pkce: bool, keep_query: bool, now: float) -> Pending:
    """A new login; nobody can guess any part of it."""
    here = f"{request.scheme}://{request.host}{request.path_only}"
    whole = f"{request.scheme}://{request.host}{request.path}"
    return Pending(
        state=secrets.token_urlsafe(24),
        nonce=secrets.token_urlsafe(24),
        verifier=secrets.token_urlsafe(48) if pkce else "",
        client_id=client.id,
        redirect_uri=client.redirect_uri or here,
        back=_cleaned(whole) if keep_query and len(whole) <= _LONGEST_ADDRESS else here,
        created=now,
    )


def _cleaned(address: str) -> str:
    """Without an older login's answer, which would be taken for the new one's."""
    parts = urlsplit(address)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if not any(name == "state" for name, _ in query):
        return address
    kept = [(name, value) for name, value in query if name not in _BACK_ARGUMENTS]
    return urlunsplit(parts._replace(query=urlencode(kept)))


def parameters(
    settings: OpenidLogin, client: OpenidClient, login: Pending, more: Iterable[tuple[str, str]]
) -> Form:
    """What the authorization endpoint is told."""
    found = [
        ("response_type", "code"),
        ("client_id", client.id),
        ("redirect_uri", login.redirect_uri),
        ("scope", " ".join(settings.scopes)),
        ("state", login.state),
        ("nonce", login.nonce),
    ]
    if settings.response_mode != "query":
        found.append(("response_mode", settings.response_mode))
    if login.verifier:
        digest = hashlib.sha256(login.verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        found += [("code_challenge", challenge), ("code_challenge_method", "S256")]
    if settings.max_age_s is not None:
        found.append(("max_age", str(settings.max_age_s)))
    found += [("audience", one) for one in settings.audience]
    own = {name for name, _ in found}
    found += [pair for pair in (*settings.arguments, *more) if pair[0] not in own]
    return tuple(found)


def with_query(address: str, form: Iterable[tuple[str, str]]) -> str:
    """The address with more parameters."""
    made = urlencode(tuple(form))
    return address + ("&" if urlsplit(address).query else "?") + made if made else address


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the provider sent the browser back with."""

    state: str
    code: str = ""
    error: str = ""
    issuer: str = ""


def accept(answer: Answer, logins: Sequence[Pending]) -> Pending | None:
    """The login that it answers; None where this browser has begun no such one."""
    return next((one for one in logins if same(answer.state, one.state)), None)


def verify_answer(answer: Answer, issuer: str, *, says_issuer: bool) -> None:
    """Raises `RefusedError` where the login failed or another provider answers (RFC 9207)."""
    if answer.issuer != issuer and (answer.issuer or says_issuer):
        raise RefusedError("another provider answered the login")
    if answer.error:
        known = answer.error if answer.error.replace("_", "").isalnum() and len(answer.error) < 40 else "no"
        raise RefusedError(f"the provider says {known}")
    if not answer.code:
        raise RefusedError("the provider's answer holds no code")


def redemption(answer: Answer, login: Pending) -> Form:
    """What the token endpoint is told."""
    form = (
        ("grant_type", "authorization_code"),
        ("code", answer.code),
        ("redirect_uri", login.redirect_uri),
    )
    return (*form, ("code_verifier", login.verifier)) if login.verifier else form
