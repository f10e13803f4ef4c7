"""The filter CORS: who may ask from another origin, and for what."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from meshgate.dialects.gateway_api.limits import Unique
from meshgate.dialects.schema import Items, Spec, fault
from meshgate.model.route import Cors, MatchKind, StringMatch

_ORIGIN = re.compile(r"https?://(?:(?:\*\.)?(?:[a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(?::[0-9]{1,5})?")


def _origin_form(text: str) -> str:
    if text != "*" and _ORIGIN.fullmatch(text) is None:
        message = "must be `*` or an origin like https://example.com:8443; its first label may be `*`"
        raise fault("MG2004", message)
    return text


def _alone(values: tuple[str, ...]) -> tuple[str, ...]:
    if "*" in values and len(values) > 1:
        raise fault("MG2006", "must not have others beside `*`")
    return values


Origin = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_origin_form)]
Token = Annotated[str, Field(pattern=r"^([!#$%&'*+.^_`|~0-9A-Za-z-]+|\*)$", max_length=256)]
CorsMethod = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"]


class CorsSpec(Spec):
    """`HTTPCORSFilter`."""

    allow_origins: Annotated[Items[Origin], Field(max_length=64), Unique, AfterValidator(_alone)] = ()
    allow_credentials: bool | None = None
    allow_methods: Annotated[Items[CorsMethod], Field(max_length=9), Unique, AfterValidator(_alone)] = ()
    allow_headers: Annotated[Items[Token], Field(max_length=64), Unique, AfterValidator(_alone)] = ()
    expose_headers: Annotated[Items[Token], Field(max_length=64), Unique] = ()
    max_age: Annotated[int, Field(ge=1)] = 5

    def lower(self) -> Cors:
        """The policy."""
        return Cors(
            allow_origins=tuple(_origin(o) for o in self.allow_origins),
            allow_methods=self.allow_methods,
            allow_headers=self.allow_headers,
            expose_headers=self.expose_headers,
            max_age_s=self.max_age,
            allow_credentials=self.allow_credentials or None,
            # Who may not ask is answered here, without the headers that would let a browser go on.
            forward_unmatched=False,
        )


def _origin(text: str) -> StringMatch:
    if "*" not in text or text == "*":
        return StringMatch(kind=MatchKind.EXACT, value=text)
    return StringMatch(kind=MatchKind.REGEX, value=".+".join(re.escape(part) for part in text.split("*")))
