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


def takes_all(path: PathMatch) -> bool:
    """Whether every path matches."""
    prefixes = (PathKind.PREFIX, PathKind.SEGMENTS)
    return (path.kind in prefixes and path.value in ("", "/")) or (
        path.kind is PathKind.REGEX and path.value in (".*", "/.*")
    )


def matches(path: PathMatch, text: str) -> bool | None:
    """Whether `text` matches; None where a regex is not one that Python can try."""
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
            try:
                return re.fullmatch(path.value, text) is not None
            except re.error:
                return None


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
    short, long = sorted((edge, mesh), key=lambda p: (len(p.value.rstrip("/")), p.kind is PathKind.SEGMENTS))
    if short.kind is PathKind.SEGMENTS and long.kind is PathKind.PREFIX:
        stem = short.value.rstrip("/")
        if long.value.rstrip("/") == stem:
            return (long,) if long.value.endswith("/") else (short,)
        return (long,) if long.value.startswith(stem + "/") else None
    return (long,) if matches(short, long.value) else None


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
        replacement = "/" if rewrite.prefix is None else rewrite.prefix
        if replacement.endswith("/"):
            return Combined(paths=(edge,), rewrite=replace(rewrite, prefix=replacement))
        # The mesh replaces the leading slash alone, as Envoy's prefix rewrite does.
        return Combined(paths=(edge,), rewrite=_replace(rewrite, f"^{re.escape(stem)}/?", replacement))
    if not mesh.value.startswith("/") and mesh.kind is not PathKind.REGEX:
        return None
    return _joined(edge, stem, mesh, rewrite)


def _joined(edge: PathMatch, stem: str, mesh: PathMatch, rewrite: Rewrite) -> Combined:
    loose = edge.kind is PathKind.PREFIX and not edge.value.endswith("/")
    body = _cased(mesh.value[1:], mesh.ignore_case)
    start = re.escape(stem) + ("/?" if loose else "/") + body
    replacement = mesh.value if rewrite.prefix is None else rewrite.prefix
    as_text = not loose and not mesh.ignore_case
    match mesh.kind:
        case PathKind.EXACT:
            if as_text and mesh.value != "/":
                path = PathMatch(kind=PathKind.EXACT, value=stem + mesh.value)
                return Combined(paths=(path,), rewrite=replace(rewrite, prefix=replacement))
            text = f"{re.escape(stem)}/?" if mesh.value == "/" else start
            return _by_regex(text, WHOLE, replacement, rewrite)
        case PathKind.PREFIX | PathKind.SEGMENTS:
            if as_text:
                path = PathMatch(kind=mesh.kind, value=stem + mesh.value)
                return Combined(paths=(path,), rewrite=replace(rewrite, prefix=replacement))
            tail = ".*" if mesh.kind is PathKind.PREFIX else "(?:/.*)?"
            slash = "/?" if replacement.endswith("/") and not mesh.value.endswith("/") else ""
            return _by_regex(start + tail, f"^{start}{slash}", replacement, rewrite)
        case PathKind.REGEX:
            text = re.escape(stem) + f"(?:{mesh.value})" + ("?" if matches(mesh, "/") else "")
            if rewrite.prefix is None:
                result = _by_regex(text, f"^{re.escape(stem)}/?", "/", rewrite)
            else:
                result = _by_regex(text, WHOLE, rewrite.prefix, rewrite)
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
    if matches(mesh, "/") is False:
        return None
    final = "/"
    if rewrite.prefix is not None:
        final = rewrite.prefix or "/"
    elif rewrite.path_regex:
        try:
            final = re.sub(rewrite.path_regex, rewrite.substitution, "/")
        except (re.error, IndexError):
            return Combined(paths=(edge,), rewrite=rewrite, inexact="the path is not stripped")
    return Combined(paths=(edge,), rewrite=replace(rewrite, prefix=final, path_regex="", substitution=""))


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


def _by_regex(match: str, pattern: str, replacement: str, rewrite: Rewrite) -> Combined:
    path = PathMatch(kind=PathKind.REGEX, value=match)
    return Combined(paths=(path,), rewrite=_replace(rewrite, pattern, replacement))


def _replace(rewrite: Rewrite, pattern: str, replacement: str) -> Rewrite:
    text = replacement.replace("\\", "\\\\")
    return replace(rewrite, prefix=None, path_regex=pattern, substitution=text)


def _stem_pattern(value: str, ignore_case: bool, replacement: str) -> str:
    """Regex of a literal prefix; takes the slash behind it too where the new one ends in one."""
    slash = "/?" if replacement.endswith("/") and not value.endswith("/") else ""
    return f"^{_cased(value, ignore_case)}{slash}"


def _cased(text: str, ignore_case: bool) -> str:
    return f"(?i:{re.escape(text)})" if ignore_case else re.escape(text)
