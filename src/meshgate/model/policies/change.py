"""Policies that change what passes."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossOrigin:
    """Kong's `cors`."""

    any_origin: bool = True
    """Every origin may call, and is told `*`."""
    fixed_origin: str = ""
    """The one origin that all are told of, whoever asks; empty where it depends on who asks."""
    origins: tuple[str, ...] = ()
    """Regular expressions (RE2, the whole origin) of who may call, where it depends on that."""
    methods: tuple[str, ...] = (
        "GET",
        "HEAD",
        "PUT",
        "PATCH",
        "POST",
        "DELETE",
        "OPTIONS",
        "TRACE",
        "CONNECT",
    )
    headers: tuple[str, ...] = ()
    """Empty: whatever the preflight asks for."""
    exposed_headers: tuple[str, ...] = ()
    max_age_s: int | None = None
    credentials: bool = False
    private_network: bool = False
    preflight_continue: bool = False
    """Preflights go to the service; only where the answer does not depend on who asks."""
    allow_origin_absent: bool = True
    """Answers to requests without Origin are marked too."""
    origin: Origin = BUILT_IN


class IdGenerator(enum.Enum):
    UUID = "uuid"
    UUID_COUNTER = "uuid#counter"
    TRACKER = "tracker"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationId:
    """Kong's `correlation-id`: a header that names the request, kept where the client sent one."""

    header_name: str = "Kong-Request-ID"
    generator: IdGenerator = IdGenerator.UUID_COUNTER
    echo_downstream: bool = False
    origin: Origin = BUILT_IN


Pairs = tuple[tuple[str, str], ...]
"""Names with values; a value may hold Envoy's `%COMMANDS%`, its own `%` are doubled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChanges:
    """What happens to headers, in the order of the fields."""

    remove: tuple[str, ...] = ()
    rename: Pairs = ()
    """(old, new)."""
    replace: Pairs = ()
    """Only what is there."""
    add: Pairs = ()
    """Only what is not there."""
    append: Pairs = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """A value of the request, in one of Kong's templates."""

    source: str
    """`headers`, `query_params`, `uri_captures` or `shared`."""
    name: str


@dataclass(frozen=True, slots=True)
class Alternatives:
    """The first of the choices that is there; an empty text where none is."""

    choices: tuple[Lookup | str, ...]


Template = tuple[str | Alternatives, ...]
"""Texts and lookups, one behind the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedChanges:
    """As `FieldChanges`, with templates for values."""

    remove: tuple[str, ...] = ()
    rename: Pairs = ()
    replace: tuple[tuple[str, Template], ...] = ()
    add: tuple[tuple[str, Template], ...] = ()
    append: tuple[tuple[str, Template], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestScript:
    """What a program does to a request, where Envoy's own filters do not suffice."""

    method: str = ""
    uri: Template = ()
    headers: ScriptedChanges = ScriptedChanges()
    query: ScriptedChanges = ScriptedChanges()
    body: ScriptedChanges = ScriptedChanges()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTransformer:
    """Kong's `request-transformer`: by Envoy's own filters, or all of it by a program."""

    http_method: str = ""
    headers: FieldChanges = FieldChanges()
    uri: str = ""
    """Path sent upstream in place of all others; empty: unchanged."""
    host: str = ""
    """The same for Host."""
    script: RequestScript | None = None
    """With it, of the other fields only `host` is set."""
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonChanges:
    """What happens to the members of a JSON object; values are JSON."""

    remove: tuple[str, ...] = ()
    rename: Pairs = ()
    replace: Pairs = ()
    add: Pairs = ()
    append: Pairs = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseTransformer:
    """Kong's `response-transformer`."""

    headers: FieldChanges = FieldChanges()
    body: JsonChanges | None = None
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """People's own Lua, phase by phase; every text is a program of its own."""

    rewrite: tuple[str, ...] = ()
    access: tuple[str, ...] = ()
    header_filter: tuple[str, ...] = ()
    body_filter: tuple[str, ...] = ()
    log: tuple[str, ...] = ()

    @property
    def answering(self) -> bool:
        """Whether any of it runs on the way back."""
        return bool(self.header_filter or self.body_filter or self.log)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreFunction:
    """Kong's `pre-function`: before all other plugins."""

    phases: Phases
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class PostFunction:
    """Kong's `post-function`: behind all other plugins."""

    phases: Phases
    origin: Origin = BUILT_IN
