"""Rules and matches of VirtualServices that an earlier one already takes."""

from __future__ import annotations

from meshgate.core.findings import Findings
from meshgate.model.declared import Declared, MeshRules
from meshgate.model.graph import Model
from meshgate.model.linking.mesh import is_catch_all
from meshgate.model.linking.paths import takes_all
from meshgate.model.route import MatchKind, NamedMatch, PathKind, PathMatch, RequestMatch, Rule, StringMatch


def analyze(declared: Declared, model: Model, advice: Findings) -> None:
    """MG3105: a warning for a rule that no request can reach, a note for a match that none can.

    A catch-all before it is what `link` finds (MG3009).
    """
    for rules in declared.mesh_rules:
        earlier: list[tuple[RequestMatch, Rule]] = []
        for rule in rules.rules:
            owners = []
            for match in rule.matches:
                owner = next((o for wide, o in earlier if covers(wide, match)), None)
                owners.append(owner)
                earlier.append((match, rule))
            before = [owner for owner in owners if owner is not None and owner is not rule]
            if rule.matches and len(before) == len(owners):
                _report_rule(rules, rule, before[0], advice)
            else:
                for found in (owner for owner in owners if owner is not None):
                    _report_match(rules, rule, found, advice)
            if is_catch_all(rule):
                break


def _report_rule(rules: MeshRules, rule: Rule, owner: Rule, advice: Findings) -> None:
    advice.warn(
        "MG3105",
        rule.origin,
        rules.ref,
        f"the rule at {owner.origin} takes every request that this one is for",
        "move it up, or narrow the earlier match",
    )


def _report_match(rules: MeshRules, rule: Rule, owner: Rule, advice: Findings) -> None:
    by = "another of them" if owner is rule else f"the rule at {owner.origin}"
    advice.note(
        "MG3105",
        rule.origin,
        rules.ref,
        f"one of its matches is covered by {by}",
        "leave the match out, or move the rule up",
    )


def covers(wide: RequestMatch, narrow: RequestMatch) -> bool:
    """Whether every request that `narrow` takes is one that `wide` takes; False where unsure."""
    return (
        all(any(_path_covers(w, n) for n in narrow.paths) for w in wide.paths)
        and _all_among(wide.headers, narrow.headers)
        and _all_among(wide.query, narrow.query)
        and _any_covers(wide.methods, narrow.methods)
        and (wide.scheme is None or (narrow.scheme is not None and _text_covers(wide.scheme, narrow.scheme)))
        and (
            wide.authority is None
            or (narrow.authority is not None and _text_covers(wide.authority, narrow.authority))
        )
        and wide.port in (0, narrow.port)
        and wide.source_namespace in ("", narrow.source_namespace)
        and wide.source_labels.items() <= narrow.source_labels.items()
        and (not wide.gateways or (bool(narrow.gateways) and set(narrow.gateways) <= set(wide.gateways)))
    )


def _path_covers(wide: PathMatch, narrow: PathMatch) -> bool:
    if takes_all(wide):
        return True
    if wide.kind is PathKind.PREFIX and narrow.kind in (PathKind.EXACT, PathKind.PREFIX):
        return _starts(narrow.value, wide.value, wide.ignore_case, narrow.ignore_case)
    same_case = wide.ignore_case or not narrow.ignore_case
    return wide.kind is narrow.kind and wide.value == narrow.value and same_case


def _text_covers(wide: StringMatch, narrow: StringMatch) -> bool:
    if wide.kind is MatchKind.PRESENT:
        return True
    if wide.kind is MatchKind.PREFIX and narrow.kind in (MatchKind.EXACT, MatchKind.PREFIX):
        return _starts(narrow.value, wide.value, wide.ignore_case, narrow.ignore_case)
    same_case = wide.ignore_case or not narrow.ignore_case
    return wide.kind is narrow.kind and wide.value == narrow.value and same_case


def _starts(text: str, prefix: str, wide_ignores: bool, narrow_ignores: bool) -> bool:
    if wide_ignores:
        return text.lower().startswith(prefix.lower())
    return not narrow_ignores and text.startswith(prefix)


def _all_among(wide: tuple[NamedMatch, ...], narrow: tuple[NamedMatch, ...]) -> bool:
    """Whether each condition of `wide` follows from one of `narrow`."""
    return all(
        w in narrow
        or any(
            not w.invert
            and not n.invert
            and w.name.lower() == n.name.lower()
            and _text_covers(w.match, n.match)
            for n in narrow
        )
        for w in wide
    )


def _any_covers(wide: tuple[StringMatch, ...], narrow: tuple[StringMatch, ...]) -> bool:
    """Alternatives: each of `narrow` must be one that `wide` takes."""
    if not wide:
        return True
    return bool(narrow) and all(any(_text_covers(w, n) for w in wide) for n in narrow)
