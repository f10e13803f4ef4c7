"""What an edge rule's path and a mesh rule's path say together, and the rewrite of both.

Pure algebra on paths. The edge sees `/api/users/7`; with `strip-path` the mesh rule behind
it would see `/7`. One proxy does both steps here, so both matches become one match and
both rewrites one rewrite. Internal to `link`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from meshgate.model.route import PathKind, PathMatch, Rewrite

ROOT = PathMatch(kind=PathKind.PREFIX, value="/")
"""Takes every path."""

WHOLE = "^.*$"
"""Regex of a rewrite that replaces the whole path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """One alternative: `paths` must all hold, then `rewrite` applies."""

    paths: tuple[PathMatch, ...]
    rewrite: Rewrite
    inexact: str = ""
    """What of it could not be expressed; empty where nothing was lost."""


_REPEATED_GROUP = re.compile(r"\)[*+{]")
_MOST_REPETITIONS = 4
_MOST_OPTIONALS = 8


def try_regex(pattern: str, text: str, *, ignore_case: bool = False) -> bool | None:
    """Whether an RE2 pattern takes the whole text; None where Python cannot tell.

    Python's engine backtracks, so only patterns that cannot run away are tried: no
    repeated groups, few repetitions. (One character is short enough for any.)
    """
    repetitions = sum(pattern.count(c) for c in "*+{")
    involved = repetitions > _MOST_REPETITIONS or pattern.count("?") > _MOST_OPTIONALS
    if len(text) > 1 and (involved or _REPEATED_GROUP.search(pattern)):
        return None
    try:
        return re.fullmatch(pattern, text, re.IGNORECASE if ignore_case else 0) is not None
    except (re.error, OverflowError, RecursionError):
        return None


def takes_all(path: PathMatch) -> bool:
    """Whether every path matches."""
    prefixes = (PathKind.PREFIX, PathKind.SEGMENTS)
    return (path.kind in prefixes and path.value in ("", "/")) or (
        path.kind is PathKind.REGEX and path.value in (".*", "/.*")
    )


def matches(path: PathMatch, text: str) -> bool | None:
    """Whether `text` matches; None where `try_regex` cannot tell."""
    wanted, given = path.value, text
    if path.ignore_case and path.kind is not PathKind.REGEX:
        wanted, given = wanted.lower(), given.lower()
    match path.kind:
        case PathKind.EXACT:
            return given == wanted
        case PathKind.PREFIX:
            return given.startswith(wanted)
        case PathKind.SEGMENTS:
            stem = wanted.rstrip("/")
            return given == stem or given.startswith(stem + "/")
        case PathKind.REGEX:
            return try_regex(path.value, text)


def combine(edge: PathMatch, mesh: PathMatch | None, mesh_rewrite: Rewrite, strip: bool) -> Combined | None:
    """Both matches as one, with one rewrite; None where no path can match both.

    `Rewrite.prefix` in the result goes with a single match that is no regex and replaces
    what that match matched; everything else is written as `path_regex`.
    """
    behind = mesh or ROOT
    if strip and not (edge.kind in (PathKind.PREFIX, PathKind.SEGMENTS) and takes_all(edge)):
        return _stripped(edge, behind, mesh_rewrite)
    return _unstripped(edge, behind, mesh_rewrite)


def _unstripped(edge: PathMatch, mesh: PathMatch, rewrite: Rewrite) -> Combined | None:
    paths = _both(edge, mesh)
    if paths is None:
        return None
    if rewrite.prefix is None:
        return Combined(paths=paths, rewrite=rewrite)
    if mesh.kind is PathKind.REGEX or (mesh.kind is PathKind.EXACT and len(paths) > 1):
        return Combined(paths=paths, rewrite=_replace(rewrite, WHOLE, rewrite.prefix))
    if paths == (mesh,):
        return Combined(paths=paths, rewrite=rewrite)
    pattern = _stem_pattern(mesh.value or "/", mesh.ignore_case, rewrite.prefix)
    return Combined(paths=paths, rewrite=_replace(rewrite, pattern, rewrite.prefix))


def _both(edge: PathMatch, mesh: PathMatch) -> tuple[PathMatch, ...] | None:
    """The fewest matches that say what both say."""
    if takes_all(edge):
        return (mesh,)
    if takes_all(mesh) or edge == mesh:
        return (edge,)
    for fixed, other in ((edge, mesh), (mesh, edge)):
        if fixed.kind is PathKind.EXACT and not fixed.ignore_case:
            verdict = matches(other, fixed.value)
            if verdict is None:
                return (edge, mesh)
            return (fixed,) if verdict else None
    plain = (PathKind.PREFIX, PathKind.SEGMENTS)
    if edge.kind not in plain or mesh.kind not in plain or edge.ignore_case or mesh.ignore_case:
        return (edge, mesh)
    if _within(edge, mesh):
        return (edge,)
    return (mesh,) if _within(mesh, edge) else None


def _within(inner: PathMatch, outer: PathMatch) -> bool:
    """Whether a prefix takes only what the other takes; two prefixes are nested or apart."""
    start = inner.value.rstrip("/") if inner.kind is PathKind.SEGMENTS else inner.value
    if outer.kind is PathKind.PREFIX:
        return start.startswith(outer.value)
    stem = outer.value.rstrip("/")
    same = inner.kind is PathKind.SEGMENTS and start == stem
    return same or start.startswith(stem + "/")


def _stripped(edge: PathMatch, mesh: PathMatch, rewrite: Rewrite) -> Combined | None:
    """`mesh` is tried on, and `rewrite` applied to, what is left when `edge` was stripped."""
    if edge.kind is PathKind.EXACT:
        return _constant(edge, mesh, rewrite)
    if edge.kind is PathKind.REGEX:
        return _regex_stripped(edge, mesh, rewrite)
    stem = edge.value.rstrip("/")
    if rewrite.path_regex:
        return _regex_rewritten(edge, stem, mesh, rewrite)
    if takes_all(mesh):
        if mesh.kind is PathKind.REGEX and rewrite.prefix is not None:
            return Combined(paths=(edge,), rewrite=_replace(rewrite, WHOLE, rewrite.prefix))
        replacement = "/" if rewrite.prefix is None else rewrite.prefix
        if replacement.endswith("/"):
            return Combined(paths=(edge,), rewrite=replace(rewrite, prefix=replacement))
        # The mesh replaces the leading slash alone, as Envoy's prefix rewrite does.
        return Combined(paths=(edge,), rewrite=_replace(rewrite, f"^{re.escape(stem)}/?", replacement))
    if not mesh.value.startswith("/") and mesh.kind is not PathKind.REGEX:
        return None
    return _joined(edge, stem, mesh, rewrite)


def _joined(edge: PathMatch, stem: str, mesh: PathMatch, rewrite: Rewrite) -> Combined:
    slashed = edge.kind is PathKind.PREFIX and edge.value.endswith("/")
    loose = edge.kind is PathKind.PREFIX and not slashed
    body = _cased(mesh.value[1:], mesh.ignore_case)
    start = re.escape(stem) + ("/?" if loose else "/") + body
    replacement = mesh.value if rewrite.prefix is None else rewrite.prefix
    as_text = not loose and not mesh.ignore_case
    match mesh.kind:
        case PathKind.EXACT:
            if as_text and (mesh.value != "/" or slashed):
                path = PathMatch(kind=PathKind.EXACT, value=stem + mesh.value)
                return Combined(paths=(path,), rewrite=replace(rewrite, prefix=replacement))
            text = f"{re.escape(stem)}/?" if mesh.value == "/" and not slashed else start
            return _by_regex(text, stem, WHOLE, rewrite)
        case PathKind.PREFIX | PathKind.SEGMENTS:
            if as_text:
                path = PathMatch(kind=mesh.kind, value=stem + mesh.value)
                return Combined(paths=(path,), rewrite=replace(rewrite, prefix=replacement))
            tail = ".*" if mesh.kind is PathKind.PREFIX else "(?:/.*)?"
            slash = "/?" if replacement.endswith("/") and not mesh.value.endswith("/") else ""
            return _by_regex(start + tail, stem, f"^{start}{slash}", rewrite)
        case PathKind.REGEX:
            text = re.escape(stem) + f"(?:{mesh.value})" + ("?" if matches(mesh, "/") and not slashed else "")
            result = _by_regex(text, stem, WHOLE, rewrite)
            if loose:
                return replace(result, inexact="the edge's prefix is taken by whole path elements")
            return result


def _regex_rewritten(edge: PathMatch, stem: str, mesh: PathMatch, rewrite: Rewrite) -> Combined | None:
    """Regex rewrite behind a stripped prefix: the prefix goes into the pattern."""
    matched = combine(edge, mesh, Rewrite(), True)
    if matched is None:
        return None
    anchored = rewrite.path_regex.startswith("^")
    pattern = rewrite.path_regex.removeprefix("^")
    combined = replace(rewrite, prefix=None, path_regex=f"^{re.escape(stem)}(?:{pattern})")
    inexact = "" if anchored else "the regex rewrite is tried only at the start of the stripped path"
    return Combined(paths=matched.paths, rewrite=combined, inexact=matched.inexact or inexact)


def _constant(edge: PathMatch, mesh: PathMatch, rewrite: Rewrite) -> Combined | None:
    """An exact edge path is stripped to `/`, whatever follows is known here and now."""
    verdict = matches(mesh, "/")
    if verdict is False:
        return None
    inexact = "" if verdict else "the mesh rule's uri regex is not tried behind a stripped exact path"
    final = "/"
    if rewrite.prefix is not None:
        final = rewrite.prefix or "/"
    elif rewrite.path_regex:
        try:
            final = re.sub(rewrite.path_regex, rewrite.substitution, "/")
        except (re.error, IndexError):
            return Combined(paths=(edge,), rewrite=rewrite, inexact="the path is not stripped")
    whole = replace(rewrite, prefix=final, path_regex="", substitution="")
    return Combined(paths=(edge,), rewrite=whole, inexact=inexact)


def _regex_stripped(edge: PathMatch, mesh: PathMatch, rewrite: Rewrite) -> Combined:
    """Kong strips what its regex matched, which it anchors at the start only.

    Such a regex is lowered with `.*` at its end; what stands before that is stripped.
    """
    base = edge.value.removesuffix(".*")
    pattern = WHOLE if base == edge.value else f"^(?:{base})/?"
    inexact = "" if takes_all(mesh) else "the mesh rule's uri match is not tried behind a stripped regex path"
    if rewrite.path_regex:
        inexact = "the mesh rule's regex rewrite has no effect behind a stripped regex path"
    final = "/" if rewrite.prefix is None else rewrite.prefix
    return Combined(paths=(edge,), rewrite=_replace(rewrite, pattern, final), inexact=inexact)


def _by_regex(match: str, stem: str, pattern: str, rewrite: Rewrite) -> Combined:
    """A regex match whose mesh rewrite replaces `pattern`; without one the stem is stripped."""
    path = PathMatch(kind=PathKind.REGEX, value=match)
    if rewrite.prefix is None:
        return Combined(paths=(path,), rewrite=_replace(rewrite, f"^{re.escape(stem)}/?", "/"))
    return Combined(paths=(path,), rewrite=_replace(rewrite, pattern, rewrite.prefix))


def _replace(rewrite: Rewrite, pattern: str, replacement: str) -> Rewrite:
    text = replacement.replace("\\", "\\\\")
    return replace(rewrite, prefix=None, path_regex=pattern, substitution=text)


def _stem_pattern(value: str, ignore_case: bool, replacement: str) -> str:
    """Regex of a literal prefix; takes the slash behind it too where the new one ends in one."""
    slash = "/?" if replacement.endswith("/") and not value.endswith("/") else ""
    return f"^{_cased(value, ignore_case)}{slash}"


def _cased(text: str, ignore_case: bool) -> str:
    return f"(?i:{re.escape(text)})" if ignore_case else re.escape(text)
