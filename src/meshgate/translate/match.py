"""What a request must look like, as Envoy's route match."""

from __future__ import annotations

from typing import assert_never

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.type.matcher.v3 import metadata_pb2, string_pb2

from meshgate.model.route import MatchKind, NamedMatch, PathKind, PathMatch, RequestMatch, StringMatch
from meshgate.policies.packing import boolean
from meshgate.policies.request_authentication import PAYLOAD, TOKEN_METADATA

_RE2_SPECIAL = frozenset("\\.+*?()|[]{}^$")


def route_match(match: RequestMatch) -> pb.RouteMatch:
    """All of `match` that Envoy decides per request; who asks is decided before (`applies_to`).

    Envoy compares one path by itself; further ones become conditions on `:path`.
    """
    found = pb.RouteMatch()
    paths = sorted(match.paths, key=_specificity) or [PathMatch(kind=PathKind.PREFIX, value="/")]
    _path(found, paths[0])
    for path in paths[1:]:
        found.headers.append(_path_header(path))
    for header in match.headers:
        if header.is_claim:
            found.dynamic_metadata.append(_claim(header))
        else:
            found.headers.append(_header(header))
    if match.up_to_percent < 100:
        share = found.runtime_fraction.default_value
        share.numerator, share.denominator = round(match.up_to_percent * 10_000), share.MILLION
    if match.methods:
        found.headers.append(_any_of(":method", match.methods))
    if match.scheme:
        found.headers.append(_header(NamedMatch(name=":scheme", match=match.scheme)))
    if match.authority:
        found.headers.append(_header(NamedMatch(name=":authority", match=match.authority)))
    for parameter in match.query:
        matcher = found.query_parameters.add(name=parameter.name)
        if parameter.match.kind is MatchKind.PRESENT:
            matcher.present_match = not parameter.invert
        else:
            matcher.string_match.CopyFrom(string_match(parameter.match))
    return found


def _specificity(path: PathMatch) -> tuple[int, int]:
    order = {PathKind.EXACT: 0, PathKind.SEGMENTS: 1, PathKind.PREFIX: 2, PathKind.REGEX: 3}
    return order[path.kind], -len(path.value)


def _path(found: pb.RouteMatch, path: PathMatch) -> None:
    match path.kind:
        case PathKind.EXACT:
            found.path = path.value
        case PathKind.PREFIX:
            found.prefix = path.value
        case PathKind.SEGMENTS:
            # Envoy's own element-wise prefix takes no trailing slash and not the root.
            trimmed = path.value.rstrip("/")
            if trimmed:
                found.path_separated_prefix = trimmed
            else:
                found.prefix = "/"
        case PathKind.REGEX:
            found.safe_regex.regex = path.value
        case _:
            assert_never(path.kind)
    if path.ignore_case:
        found.case_sensitive.CopyFrom(boolean(False))


def _path_header(path: PathMatch) -> pb.HeaderMatcher:
    """A path condition on the header, which also holds the query string."""
    quoted = quote_regex(path.value)
    match path.kind:
        case PathKind.EXACT:
            regex = rf"{quoted}(\?.*)?"
        case PathKind.PREFIX:
            regex = f"{quoted}.*"
        case PathKind.SEGMENTS:
            regex = rf"{quote_regex(path.value.rstrip('/'))}([/?].*)?"
        case PathKind.REGEX:
            regex = rf"(?:{path.value})(\?.*)?"
        case _:
            assert_never(path.kind)
    matcher = pb.HeaderMatcher(name=":path")
    matcher.string_match.safe_regex.regex = f"(?i){regex}" if path.ignore_case else regex
    return matcher


def quote_regex(text: str) -> str:
    """`text` as an RE2 expression that matches just it."""
    return "".join(f"\\{c}" if c in _RE2_SPECIAL else c for c in text)


def string_match(match: StringMatch) -> string_pb2.StringMatcher:
    """A string comparison; `PRESENT` has none and is the caller's to handle."""
    found = string_pb2.StringMatcher(ignore_case=match.ignore_case)
    match match.kind:
        case MatchKind.EXACT:
            found.exact = match.value
        case MatchKind.PREFIX:
            found.prefix = match.value
        case MatchKind.REGEX:
            found.ignore_case = False
            found.safe_regex.regex = f"(?i){match.value}" if match.ignore_case else match.value
        case MatchKind.PRESENT:
            raise ValueError("presence is not a string comparison")
        case _:
            assert_never(match.kind)
    return found


def _header(header: NamedMatch) -> pb.HeaderMatcher:
    matcher = pb.HeaderMatcher(name=header.name.lower(), invert_match=header.invert)
    if header.match.kind is MatchKind.PRESENT:
        matcher.present_match = True
    else:
        matcher.string_match.CopyFrom(string_match(header.match))
    if header.invert and header.match.kind is not MatchKind.PRESENT:
        # Istio's withoutHeaders: a request without the header fulfils it.
        matcher.treat_missing_header_as_empty = True
    return matcher


def _claim(claim: NamedMatch) -> metadata_pb2.MetadataMatcher:
    """A claim that a token had when it was verified: a text, or a list with a text that fits."""
    found = metadata_pb2.MetadataMatcher(filter=TOKEN_METADATA, invert=claim.invert)
    for key in (PAYLOAD, *claim.claim):
        found.path.add(key=key)
    if claim.match.kind is MatchKind.PRESENT:
        found.value.present_match = True
        return found
    wanted = string_match(claim.match)
    either = found.value.or_match.value_matchers
    either.add().string_match.CopyFrom(wanted)
    either.add().list_match.one_of.string_match.CopyFrom(wanted)
    return found


def _any_of(name: str, options: tuple[StringMatch, ...]) -> pb.HeaderMatcher:
    if len(options) == 1:
        return _header(NamedMatch(name=name, match=options[0]))
    parts = []
    for option in options:
        match option.kind:
            case MatchKind.EXACT:
                parts.append(quote_regex(option.value))
            case MatchKind.PREFIX:
                parts.append(f"{quote_regex(option.value)}.*")
            case MatchKind.REGEX:
                parts.append(f"(?:{option.value})")
            case MatchKind.PRESENT:
                parts.append(".+")
            case _:
                assert_never(option.kind)
    matcher = pb.HeaderMatcher(name=name)
    matcher.string_match.safe_regex.regex = "|".join(parts)
    return matcher


def applies_to(match: RequestMatch, namespace: str, labels: dict[str, str], port: int) -> bool:
    """Whether a client with this namespace and labels, asking for this port, can meet `match`."""
    if match.source_namespace and match.source_namespace != namespace:
        return False
    if match.port and port and match.port != port:
        return False
    return match.source_labels.items() <= labels.items()
