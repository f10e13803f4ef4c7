"""AuthorizationPolicy: who may do what at the workloads that it selects.

Fields and rules follow Istio 1.27. A policy that cannot be honoured closes its workloads
(MG1104); AUDIT and dry-run policies refuse nothing, so they close nothing either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity, has_errors
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.authorization_values import WHEN_KEYS, condition, value_problem, when_key
from meshgate.dialects.istio.workload_scope import ScopedSpec, closing, report_targets, selected, targets
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, problem, show
from meshgate.dialects.wording import did_you_mean
from meshgate.model.authorization import Action, Attribute, AuthorizationPolicy, AuthorizationRule, Condition
from meshgate.model.declared import Declared

DRY_RUN = "istio.io/dry-run"
_YES, _NO = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
"""What Go's ParseBool takes."""
_TOKENS = frozenset({Attribute.REQUEST_PRINCIPAL, Attribute.AUDIENCES, Attribute.PRESENTER, Attribute.CLAIM})
"""What is not known yet when a provider is asked: it may be the one who brings the token."""


class _Fields(Spec):
    """Pairs `x` and `notX`; `ATTRIBUTES` says what each is about."""

    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {}

    def pairs(self) -> list[tuple[str, str, Attribute, tuple[str, ...] | None, tuple[str, ...] | None]]:
        """(name, name of the negative, attribute, values, negative values)."""
        dumped = dict(self)
        return [
            (name, f"not{name[0].upper()}{name[1:]}", attribute, dumped[snake], dumped[f"not_{snake}"])
            for snake, attribute in self.ATTRIBUTES.items()
            for name in [type(self).model_fields[snake].alias or snake]
        ]


class SourceSpec(_Fields):
    """Istio's `Source`; all that is set must hold."""

    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "principals": Attribute.PRINCIPAL,
        "request_principals": Attribute.REQUEST_PRINCIPAL,
        "namespaces": Attribute.NAMESPACE,
        "service_accounts": Attribute.SERVICE_ACCOUNT,
        "ip_blocks": Attribute.SOURCE_IP,
        "remote_ip_blocks": Attribute.REMOTE_IP,
        "trust_domains": Attribute.TRUST_DOMAIN,
    }

    principals: Items[str] | None = None
    not_principals: Items[str] | None = None
    request_principals: Items[str] | None = None
    not_request_principals: Items[str] | None = None
    namespaces: Items[str] | None = None
    not_namespaces: Items[str] | None = None
    service_accounts: Items[str] | None = None
    not_service_accounts: Items[str] | None = None
    ip_blocks: Items[str] | None = None
    not_ip_blocks: Items[str] | None = None
    remote_ip_blocks: Items[str] | None = None
    not_remote_ip_blocks: Items[str] | None = None
    trust_domains: Items[str] | None = None
    not_trust_domains: Items[str] | None = None


class OperationSpec(_Fields):
    """Istio's `Operation`; all that is set must hold."""

    ATTRIBUTES: ClassVar[Mapping[str, Attribute]] = {
        "hosts": Attribute.HOST,
        "ports": Attribute.DESTINATION_PORT,
        "methods": Attribute.METHOD,
        "paths": Attribute.PATH,
    }

    hosts: Items[str] | None = None
    not_hosts: Items[str] | None = None
    ports: Items[str] | None = None
    not_ports: Items[str] | None = None
    methods: Items[str] | None = None
    not_methods: Items[str] | None = None
    paths: Items[str] | None = None
    not_paths: Items[str] | None = None


class FromSpec(Spec):
    source: SourceSpec


class ToSpec(Spec):
    operation: OperationSpec


class ConditionSpec(Spec):
    """Istio's `Condition`."""

    key: str
    values: Items[str] = ()
    not_values: Items[str] = ()


class RuleSpec(Spec):
    """Istio's `Rule`."""

    from_: Items[FromSpec] | None = Field(default=None, alias="from")
    to: Items[ToSpec] | None = None
    when: Items[ConditionSpec] | None = None


class ProviderSpec(Spec):
    """Istio's `ExtensionProvider`."""

    name: str = ""


class AuthorizationPolicySpec(ScopedSpec):
    """Istio 1.27's fields."""

    rules: Items[RuleSpec] = ()
    action: Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"] = "ALLOW"
    provider: ProviderSpec | None = None


class AuthorizationPolicyObject(ObjectSpec):
    spec: AuthorizationPolicySpec = AuthorizationPolicySpec()


def lower_authorization_policy(document: Document) -> Lowered:
    """One policy; with errors (MG1102, MG1104, MG2001 to MG2006) one that lets nothing in."""
    value, said = check(AuthorizationPolicyObject, document)
    rules: tuple[AuthorizationRule, ...] = ()
    if value is None:
        dry_run = _dry_run(document, [])
        written = document.data.get("spec")
        audit = isinstance(written, Mapping) and written.get("action") == "AUDIT"
        action = Action.AUDIT if audit else Action.DENY
    else:
        lowering = _Lowering(document, said)
        report_targets(value.spec, document, said)
        action = lowering.action(value.spec)
        dry_run = _dry_run(document, said)
        rules = lowering.rules(value.spec)
        if dry_run and value.spec.action == "CUSTOM":
            dry_run = False
            said.append(
                problem(
                    document,
                    "MG2006",
                    ("metadata", "annotations", DRY_RUN),
                    "has no effect on action CUSTOM, as in Istio; the provider is asked",
                    severity=Severity.WARNING,
                    key=True,
                )
            )
    closed = ""
    if has_errors(said):
        if action is Action.AUDIT or dry_run:
            return Lowered(diagnostics=tuple(said), keep=True)
        closed = closing(document, said)
    policy = AuthorizationPolicy(
        ref=document.ref,
        namespace=document.namespace,
        selector=selected(document),
        targets=targets(document),
        action=action,
        rules=() if closed else rules,
        provider=value.spec.provider.name if value is not None and value.spec.provider else "",
        dry_run=dry_run,
        closed=closed,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(authorization_policies=(policy,)), diagnostics=tuple(said), keep=True)


def _dry_run(document: Document, said: list[Diagnostic]) -> bool:
    metadata = document.data.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    text = annotations.get(DRY_RUN, "false") if isinstance(annotations, Mapping) else "false"
    if text in _YES:
        return True
    if text not in _NO:
        said.append(
            problem(
                document,
                "MG2005",
                ("metadata", "annotations", DRY_RUN),
                f"must be true or false, got {show(text)}; the policy is enforced",
                severity=Severity.WARNING,
            )
        )
    return False


class _Lowering:
    """Rules of one policy to conditions; mistakes go to `said`."""

    def __init__(self, document: Document, said: list[Diagnostic]) -> None:
        self._document, self._said = document, said
        self._custom = False

    def action(self, spec: AuthorizationPolicySpec) -> Action:
        """The action; CUSTOM and a provider's name belong together."""
        if spec.action == "CUSTOM" and not (spec.provider and spec.provider.name):
            path = ("spec", "action")
            self._error("MG2003", path, "CUSTOM needs provider.name", "name one of MeshConfig's providers")
        if spec.action != "CUSTOM" and spec.provider is not None:
            self._error("MG2006", ("spec", "provider"), "is for action CUSTOM only")
        return Action(spec.action)

    def rules(self, spec: AuthorizationPolicySpec) -> tuple[AuthorizationRule, ...]:
        self._custom = spec.action == "CUSTOM"
        if not spec.rules and spec.action in ("DENY", "AUDIT", "CUSTOM"):
            self._said.append(
                problem(
                    self._document,
                    "MG3009",
                    ("spec",),
                    f"a policy without rules matches no request: it does not {spec.action} anything",
                    severity=Severity.WARNING,
                    remedy="write `rules: [{}]` to match all",
                )
            )
        return tuple(self._rule(rule, ("spec", "rules", i)) for i, rule in enumerate(spec.rules))

    def _rule(self, rule: RuleSpec, path: FieldPath) -> AuthorizationRule:
        for name, items in (("from", rule.from_), ("to", rule.to), ("when", rule.when)):
            if items == ():
                self._error("MG2002", (*path, name), "must not be empty", "leave it out to match all")
        sources = [
            self._fields(one.source, (*path, "from", i, "source")) for i, one in enumerate(rule.from_ or ())
        ]
        operations = [
            self._fields(one.operation, (*path, "to", i, "operation")) for i, one in enumerate(rule.to or ())
        ]
        for i, one in enumerate(rule.from_ or ()):
            if one.source.service_accounts and (one.source.principals or one.source.namespaces):
                here = (*path, "from", i, "source", "serviceAccounts")
                self._error("MG2006", here, "cannot be set together with principals or namespaces")
        when = [self._when(one, (*path, "when", i)) for i, one in enumerate(rule.when or ())]
        return AuthorizationRule(
            sources=tuple(sources), operations=tuple(operations), when=tuple(w for w in when if w is not None)
        )

    def _fields(self, fields: _Fields, path: FieldPath) -> tuple[Condition, ...]:
        found: list[Condition] = []
        for name, negative, attribute, values, not_values in fields.pairs():
            if values or not_values:
                self._report_token(attribute, (*path, name if values else negative))
            if values == ():
                self._error("MG2002", (*path, name), "must not be empty", "leave it out to match all")
            good = self._values(attribute, values or (), (*path, name))
            bad = self._values(attribute, not_values or (), (*path, negative))
            if good and bad and (values or not_values):
                one = condition(attribute, values or (), not_values or (), namespace=self._document.namespace)
                found.append(one)
        if not any(values or not_values for _, _, _, values, not_values in fields.pairs()):
            self._error("MG2002", path, "must not be empty", "leave it out to match all")
        return tuple(found)

    def _when(self, spec: ConditionSpec, path: FieldPath) -> Condition | None:
        known = when_key(spec.key)
        if known is None:
            if spec.key.startswith("experimental.envoy.filters."):
                self._error("MG1104", (*path, "key"), "filters' own metadata cannot be matched")
            else:
                near = did_you_mean(spec.key, WHEN_KEYS)
                self._error("MG2002", (*path, "key"), f"is no attribute, got {show(spec.key)}", near)
            return None
        if not spec.values and not spec.not_values:
            self._error("MG2003", path, "values or notValues are required")
        attribute, key = known
        self._report_token(attribute, (*path, "key"))
        good = self._values(attribute, spec.values, (*path, "values"))
        bad = self._values(attribute, spec.not_values, (*path, "notValues"))
        if not (good and bad):
            return None
        return condition(attribute, spec.values, spec.not_values, key=key, namespace=self._document.namespace)

    def _report_token(self, attribute: Attribute, path: FieldPath) -> None:
        if self._custom and attribute in _TOKENS:
            remedy = "leave it to the provider, or to an ALLOW or DENY policy"
            self._error("MG1104", path, "is not known yet when a CUSTOM policy asks its provider", remedy)

    def _values(self, attribute: Attribute, values: tuple[str, ...], path: FieldPath) -> bool:
        fine = True
        for i, value in enumerate(values):
            if found := value_problem(attribute, value):
                self._error("MG2002", (*path, i), f"{found}, got {show(value)}")
                fine = False
        return fine

    def _error(self, code: str, path: FieldPath, message: str, remedy: str = "") -> None:
        self._said.append(problem(self._document, code, path, message, remedy=remedy))


AUTHORIZATION_POLICY = KindParser(
    group="security.istio.io",
    kind="AuthorizationPolicy",
    versions=frozenset({"v1beta1", "v1"}),
    namespaced=True,
    lower=lower_authorization_policy,
    plural="authorizationpolicies",
    short_names=("ap",),
)
