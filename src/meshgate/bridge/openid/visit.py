"""One request that `openid-connect` is asked about."""

from __future__ import annotations

from dataclasses import dataclass, field

from meshgate.bridge.openid.code_flow import Answer
from meshgate.bridge.openid.credentials import Arguments
from meshgate.bridge.openid.endpoints import More
from meshgate.bridge.request import Request
from meshgate.model.policies.openid import EndpointExtra, OpenidClient, OpenIdConnect, OpenidLogout


@dataclass(slots=True, kw_only=True)
class Visit:
    """The request, read once, and what is to become of the client's cookies."""

    request: Request
    now: float
    arguments: Arguments
    client: OpenidClient | None
    """The one to be to the provider, of those configured; None where there is none."""
    given: bool = False
    """Whether it brought any credential."""
    cookies: list[str] = field(default_factory=list)
    """Values of Set-Cookie."""

    @classmethod
    def of(cls, policy: OpenIdConnect, request: Request, now: float) -> Visit:
        """Reads the request. Raises `RefusedError` where it says a thing twice."""
        arguments = Arguments(request)
        client = choose_client(policy, arguments)
        return cls(request=request, now=now, arguments=arguments, client=client)

    def more(self, extra: EndpointExtra) -> More:
        """What the plugin and the request add to a question to the provider."""
        form = [(name, value.reveal_text()) for name, value in extra.arguments]
        for name in extra.client_arguments:
            value = self.arguments.anywhere(name)
            if value is not None:
                form.append((name, value))
        headers = {name: value.reveal_text() for name, value in extra.headers}
        for name in extra.client_headers:
            value = self.request.header(name)
            if value is not None:
                headers[name] = value
        return More(form=tuple(form), headers=headers)

    def answer(self) -> Answer | None:
        """What a provider may have sent the browser back with; None where nothing looks like it."""
        read = self.arguments.posted if self.request.method == "POST" else self.arguments.query
        state = read("state")
        if not state:
            return None
        code, error = read("code") or "", read("error") or ""
        return Answer(state=state, code=code, error=error, issuer=read("iss") or "")


def choose_client(policy: OpenIdConnect, arguments: Arguments) -> OpenidClient | None:
    """The client that the request names by its id or number, or the first."""
    if len(policy.clients) < 2:
        return next(iter(policy.clients), None)
    wanted = arguments.anywhere(policy.sources.client_arg)
    for number, client in enumerate(policy.clients, 1):
        if wanted is not None and wanted in (client.id, str(number)):
            return client
    return policy.clients[0]


def is_logout(logout: OpenidLogout, visit: Visit) -> bool:
    """Whether the request asks for its session's end."""
    if visit.request.method not in logout.methods:
        return False
    return bool(
        (logout.query_arg and visit.arguments.query(logout.query_arg) is not None)
        or (logout.post_arg and visit.arguments.posted(logout.post_arg) is not None)
        or (logout.uri_suffix and visit.request.path_only.endswith(logout.uri_suffix))
    )
