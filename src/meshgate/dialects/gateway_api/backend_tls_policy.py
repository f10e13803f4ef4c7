"""BackendTLSPolicy: TLS from the gateway to a Service's pods, and whom it trusts there."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.gateway_api.limits import repeated
from meshgate.dialects.gateway_api.references import Hostname, ObjectRefSpec, PreciseHostname, SectionName
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec, is_qualified_name
from meshgate.dialects.schema import Items, Spec, check, fault, problem
from meshgate.model.declared import Declared
from meshgate.model.gateway_api import GATEWAY_GROUP, BackendTlsPolicyObject
from meshgate.model.names import Name

_URI = r"^[^:/?#]+://"
"""As the API's own pattern: a scheme and an authority, whatever follows."""


class TargetSpec(ObjectRefSpec):
    """`LocalPolicyTargetReferenceWithSectionName`."""

    section_name: SectionName = ""


def _apart(targets: tuple[TargetSpec, ...]) -> tuple[TargetSpec, ...]:
    """Who names a Service more than once names another section of it each time."""
    named: dict[tuple[str, str, str], list[str]] = {}
    for one in targets:
        named.setdefault((one.group, one.kind, one.name), []).append(one.section_name)
    for (_, kind, name), sections in named.items():
        if len(sections) > 1 and ("" in sections or repeated(sections)):
            message = f"names {kind} {name} {len(sections)} times, which needs another sectionName each"
            raise fault("MG2006", message)
    return targets


class SubjectAltNameSpec(Spec):
    """`SubjectAltName`."""

    type: Literal["Hostname", "URI"]
    hostname: Hostname | None = None
    uri: Annotated[str, Field(max_length=253, pattern=_URI)] | None = None

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if (self.hostname is not None, self.uri is not None) != (self.type == "Hostname", self.type == "URI"):
            field = "hostname" if self.type == "Hostname" else "uri"
            raise fault("MG2003", f"must have {field}, and no other, with the type {self.type}")
        return self


def _well_known(text: str) -> str:
    domain, slash, name = text.partition("/")
    if text != "System" and not (slash and is_dns_name(domain) and is_qualified_name(name)):
        raise fault("MG2002", "must be System, or a name such as example.com/authorities")
    return text


class ValidationSpec(Spec):
    """`BackendTLSPolicyValidation`."""

    ca_certificate_refs: Annotated[Items[ObjectRefSpec], Field(max_length=8)] = ()
    well_known_ca_certificates: Annotated[str, AfterValidator(_well_known)] | None = Field(
        default=None, alias="wellKnownCACertificates"
    )
    hostname: PreciseHostname
    subject_alt_names: Annotated[Items[SubjectAltNameSpec], Field(max_length=5)] = ()


class BackendTlsPolicySpec(Spec):
    UNSUPPORTED: ClassVar[dict[str, str]] = {"options": "has no effect; TLS 1.2 is the oldest that is spoken"}

    target_refs: Annotated[Items[TargetSpec], Field(min_length=1, max_length=16), AfterValidator(_apart)]
    validation: ValidationSpec


class BackendTlsPolicy(ObjectSpec):
    spec: BackendTlsPolicySpec


def lower_backend_tls_policy(document: Document) -> Lowered:
    """The policy (MG2xxx)."""
    value, said = check(BackendTlsPolicy, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    validation = value.spec.validation
    path: FieldPath = ("spec", "validation")
    if bool(validation.ca_certificate_refs) == bool(validation.well_known_ca_certificates):
        message = "must have one of caCertificateRefs and wellKnownCACertificates"
        said.append(problem(document, "MG2006", path, message))
    well_known = validation.well_known_ca_certificates or ""
    names = []
    for san in validation.subject_alt_names:
        names.append((san.hostname if san.type == "Hostname" else san.uri) or "")
    declared = BackendTlsPolicyObject(
        ref=document.ref,
        name=Name(document.namespace, document.ref.name),
        targets=tuple(
            (ref.lower(document, ("spec", "targetRefs", i)), ref.section_name)
            for i, ref in enumerate(value.spec.target_refs)
        ),
        hostname=validation.hostname,
        authorities=tuple(
            ref.lower(document, (*path, "caCertificateRefs", i))
            for i, ref in enumerate(validation.ca_certificate_refs)
        ),
        system_authorities=well_known == "System",
        unknown_authorities="" if well_known == "System" else well_known,
        subject_alt_names=tuple(names),
        created=document.created,
        generation=document.generation,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(backend_tls_policies=(declared,)), diagnostics=tuple(said))


BACKEND_TLS_POLICY = KindParser(
    group=GATEWAY_GROUP,
    kind="BackendTLSPolicy",
    versions=frozenset({"v1", "v1alpha3"}),
    namespaced=True,
    lower=lower_backend_tls_policy,
    plural="backendtlspolicies",
    short_names=("btlspolicy",),
)
