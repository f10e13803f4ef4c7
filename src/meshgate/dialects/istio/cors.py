"""`http.corsPolicy`: which web origins may call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.matching import HEADER_NAME, MatchLowering, StringMatchSpec
from meshgate.dialects.schema import DurationMs, Items, Spec, fault, problem
from meshgate.model.route import Cors, MatchKind, StringMatch


def _token(text: str) -> str:
    if text != "*" and not HEADER_NAME.fullmatch(text):
        raise fault("MG2004", "must be `*` or a name that a header can hold")
    return text


Token = Annotated[str, AfterValidator(_token)]


class CorsSpec(Spec):
    """Istio's `CorsPolicy`."""

    allow_origins: Items[StringMatchSpec] = ()
    allow_origin: Items[str] = ()
    allow_methods: Items[Token] = ()
    allow_headers: Items[Token] = ()
    expose_headers: Items[Token] = ()
    max_age: DurationMs | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: Literal["UNSPECIFIED", "FORWARD", "IGNORE"] = "UNSPECIFIED"


def lower_cors(spec: CorsSpec, document: Document, path: FieldPath, said: list[Diagnostic]) -> Cors:
    """The policy; of the two spellings of origins the new one wins, as in Istio."""
    matching = MatchLowering(document, said)
    origins = tuple(matching.string(o, (*path, "allowOrigins", i)) for i, o in enumerate(spec.allow_origins))
    if spec.allow_origin:
        said.append(
            problem(
                document,
                "MG2007",
                (*path, "allowOrigin"),
                "allowOrigin is deprecated",
                severity=Severity.WARNING,
                remedy="write allowOrigins with exact, prefix or regex",
            )
        )
        origins = origins or tuple(StringMatch(kind=MatchKind.EXACT, value=o) for o in spec.allow_origin)
    return Cors(
        allow_origins=origins,
        allow_methods=spec.allow_methods,
        allow_headers=spec.allow_headers,
        expose_headers=spec.expose_headers,
        max_age_s=round(spec.max_age / 1000) if spec.max_age is not None else None,
        allow_credentials=spec.allow_credentials,
        forward_unmatched=spec.unmatched_preflights != "IGNORE",
    )
