"""BackendTLSPolicy: TLS from the gateway to a Service's pods, and whom it trusts there."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.gateway_api.references import Hostname, ObjectRefSpec, PreciseHostname, SectionName
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, problem
from meshgate.model.declared import Declared
from meshgate.model.gateway_api import GATEWAY_GROUP, BackendTlsPolicyObject
from meshgate.model.names import Name


class TargetSpec(ObjectRefSpec):
    """`LocalPolicyTargetReferenceWithSectionName`."""

    section_name: SectionName = ""


class SubjectAltNameSpec(Spec):
    """`SubjectAltName`."""

    type: Literal["Hostname", "URI"]
    hostname: Hostname | None = None
    uri: str | None = None


class ValidationSpec(Spec):
    """`BackendTLSPolicyValidation`."""

    ca_certificate_refs: Items[ObjectRefSpec] = ()
    well_known_ca_certificates: Literal["System"] | None = Field(
        default=None, alias="wellKnownCACertificates"
    )
    hostname: PreciseHostname
    subject_alt_names: Items[SubjectAltNameSpec] = ()


class BackendTlsPolicySpec(Spec):
    UNSUPPORTED: ClassVar[dict[str, str]] = {"options": "has no effect; TLS 1.2 is the oldest that is spoken"}

    target_refs: Annotated[Items[TargetSpec], Field(min_length=1)]
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
    names = []
    for index, san in enumerate(validation.subject_alt_names):
        text = san.hostname if san.type == "Hostname" else san.uri
        if not text:
            message = f"must have the field of its type {san.type}"
            said.append(problem(document, "MG2003", (*path, "subjectAltNames", index), message))
        names.append(text or "")
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
        system_authorities=validation.well_known_ca_certificates is not None,
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
