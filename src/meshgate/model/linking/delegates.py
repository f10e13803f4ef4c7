"""VirtualServices that hand rules to others (`delegate`), made into ones that say all themselves.

After Istio 1.27: a VirtualService without hosts is one to delegate to. Each of its rules
becomes a rule in the place of the one that delegates. Its match must lie within that one's,
and parts that it leaves out are those of the rule that delegates. Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from meshgate.core.findings import Findings
from meshgate.core.origin import Origin
from meshgate.model.declared import Declared, Delegation, MeshRules
from meshgate.model.linking.delegate_matches import joined
from meshgate.model.names import Name, complete_host
from meshgate.model.route import Destination, Forward, Refuse, Rule


def resolve_delegates(declared: Declared, findings: Findings) -> Declared:
    """The same with one VirtualService where several stood together; those without hosts are gone.

    A rule that delegates to what is not there answers 503 (MG3041); so it is told what no
    rule delegates to, and the rules that lie outside of the match they are reached by.
    """
    if not any(r.delegations or not r.hosts for r in declared.mesh_rules):
        return declared
    resolving = _Resolving(declared, findings)
    whole = tuple(resolving.whole(rules) for rules in declared.mesh_rules if rules.hosts)
    resolving.report_idle()
    return replace(declared, mesh_rules=whole)


@dataclass(frozen=True, slots=True)
class _Handed:
    """A rule that delegates, and the VirtualService that it is in."""

    rules: MeshRules
    rule: Rule
    written: frozenset[str]


class _Resolving:
    def __init__(self, declared: Declared, findings: Findings) -> None:
        self._findings = findings
        ordered = sorted(declared.mesh_rules, key=lambda r: (r.ref, r.origin))
        self._targets = {Name(r.namespace, r.ref.name): r for r in ordered if not r.hosts}
        self._known = {Name(r.namespace, r.ref.name) for r in ordered}
        self._broken = {
            Name(b.ref.namespace, b.ref.name): b.problem
            for b in declared.broken
            if b.ref.kind == "VirtualService"
        }
        self._used: set[Name] = set()

    def whole(self, rules: MeshRules) -> MeshRules:
        """The VirtualService with the rules that it delegates filled in."""
        targets: dict[int, Delegation] = {d.rule: d for d in rules.delegations}
        if not targets:
            return rules
        found: list[Rule] = []
        for number, rule in enumerate(rules.rules):
            if number not in targets:
                found.append(rule)
                continue
            handed = _Handed(rules, rule, rules.written[number])
            found.extend(self._continued(handed, targets[number].to))
        return replace(rules, rules=tuple(found), delegations=(), written=())

    def _continued(self, handed: _Handed, to: Name) -> Iterator[Rule]:
        target = self._targets.get(to)
        self._used.add(to)
        problem = self._problem(handed, to, target)
        if target is None or problem:
            message = f"VirtualService {to} {problem}"
            self._warn(handed, handed.rule.origin, f"{message}; the rule answers 503", "mend the delegate")
            yield replace(handed.rule, action=Refuse(status=503, reason=message))
            return
        inside = {d.rule for d in target.delegations}
        names = {rule.name for rule in handed.rules.rules}
        for number, rule in enumerate(target.rules):
            matches = joined(handed.rule.matches, rule.matches)
            if matches is None:
                said = f"lies outside of what {handed.rules.ref} delegates at {handed.rule.origin}"
                self._warn(
                    handed,
                    rule.origin,
                    f"the rule's match {said}; it has no effect there",
                    "narrow the match",
                )
                continue
            merged = _merged(handed, rule, target.written[number], target.namespace)
            merged = replace(merged, matches=matches, name=_fresh(f"{handed.rule.name}-{rule.name}", names))
            if number in inside:
                self._warn(handed, rule.origin, "a delegate cannot delegate; the rule answers 503", "")
                merged = replace(merged, action=Refuse(status=503, reason="a delegate delegates further"))
            yield merged

    def _problem(self, handed: _Handed, to: Name, target: MeshRules | None) -> str:
        if target is None:
            if to in self._known:
                return "has hosts of its own and so cannot be delegated to"
            return f"is broken: {self._broken[to]}" if to in self._broken else "does not exist"
        own, asking = target.namespace, handed.rules.namespace
        if (
            "*" in target.export_to
            or asking in target.export_to
            or ("." in target.export_to and own == asking)
        ):
            return ""
        return f"is not exported to namespace {asking}"

    def report_idle(self) -> None:
        """MG3041 for every VirtualService without hosts that nothing delegates to."""
        for name, rules in self._targets.items():
            if name not in self._used:
                self._findings.warn(
                    "MG3041",
                    rules.origin,
                    rules.ref,
                    "has no hosts, and no rule delegates to it; it has no effect",
                    "name its hosts, or delegate to it",
                    ("spec", "hosts"),
                )

    def _warn(self, handed: _Handed, at: Origin, message: str, remedy: str) -> None:
        self._findings.warn("MG3041", at, handed.rules.ref, message, remedy)


def _fresh(name: str, taken: set[str]) -> str:
    """The name, told apart from those that other rules have."""
    number, found = 2, name
    while found in taken:
        number, found = number + 1, f"{name}-{number}"
    taken.add(found)
    return found


def _merged(handed: _Handed, rule: Rule, written: frozenset[str], namespace: str) -> Rule:
    """The delegate's rule with what it leaves out taken from the rule that delegates."""
    above = handed.rule
    action = rule.action
    if isinstance(action, Forward) and isinstance(above.action, Forward):
        action = _forward(action, above.action, handed, written, namespace)
    headers = rule if "headers" in written else above
    return replace(
        rule,
        action=action,
        request_headers=headers.request_headers,
        response_headers=headers.response_headers,
        fault=rule.fault if "fault" in written else above.fault,
        cors=rule.cors if "corsPolicy" in written else above.cors,
    )


def _forward(
    own: Forward, above: Forward, handed: _Handed, written: frozenset[str], namespace: str
) -> Forward:
    rewrite = own.rewrite
    if "rewrite" not in written:
        rewrite = replace(above.rewrite, authority=rewrite.authority or above.rewrite.authority)
    elif "headers" not in written and "rewrite" not in handed.written and not rewrite.authority:
        rewrite = replace(rewrite, authority=above.rewrite.authority)
    mirrors = tuple(replace(m, destination=_completed(m.destination, namespace)) for m in own.mirrors)
    if "mirror" not in written:
        mirrors = above.mirrors
    return replace(
        own,
        destinations=tuple(
            replace(entry, destination=_completed(entry.destination, namespace)) for entry in own.destinations
        ),
        timeout_ms=own.timeout_ms if "timeout" in written else above.timeout_ms,
        retry=own.retry if "retries" in written else above.retry,
        rewrite=rewrite,
        mirrors=mirrors,
    )


def _completed(destination: Destination, namespace: str) -> Destination:
    """Short hosts are those of the delegate's own namespace."""
    return replace(destination, host=complete_host(destination.host, namespace))
