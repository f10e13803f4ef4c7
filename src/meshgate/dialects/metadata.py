"""`metadata`, as all objects of all dialects have it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from meshgate.dialects.schema import Spec, fault
from meshgate.model.service import EMPTY

MAX_ANNOTATIONS = 262_144
"""Kubernetes' limit for all of an object's annotations."""

_NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def is_label_value(text: str) -> bool:
    """Empty, or at most 63 letters, digits and inner `-_.`."""
    return not text or (len(text) <= 63 and _NAME_PART.fullmatch(text) is not None)


def is_qualified_name(text: str) -> bool:
    """A label or annotation key: `name` or `dns.prefix/name`."""
    prefix, slash, name = text.rpartition("/")
    if slash and (len(prefix) > 253 or _PREFIX.fullmatch(prefix) is None):
        return False
    return bool(name) and is_label_value(name)


def _label_value(text: str) -> str:
    if not is_label_value(text):
        raise fault("MG2004", "must be at most 63 letters, digits, '-', '_' and '.'")
    return text


def _qualified(text: str) -> str:
    if not is_qualified_name(text):
        raise fault("MG2004", "must be a key like name or example.com/name")
    return text


def _bounded(annotations: Mapping[str, str]) -> Mapping[str, str]:
    if sum(len(k) + len(v) for k, v in annotations.items()) > MAX_ANNOTATIONS:
        raise fault("MG1002", f"must have at most {MAX_ANNOTATIONS} characters together")
    return annotations


QualifiedName = Annotated[str, AfterValidator(_qualified)]
LabelValue = Annotated[str, AfterValidator(_label_value)]

Labels = Mapping[QualifiedName, LabelValue]
Annotations = Annotated[Mapping[QualifiedName, str], AfterValidator(_bounded)]


class ObjectMeta(Spec):
    """Names were checked when the document was read; here are types, labels and annotations."""

    IGNORED: ClassVar[Mapping[str, str]] = {
        "finalizers": "the local API deletes at once",
        "ownerReferences": "nothing is garbage-collected",
    }

    name: str = ""
    namespace: str = ""
    labels: Labels = EMPTY
    annotations: Annotations = EMPTY
    generate_name: object = None
    # Written by an API server; in manifests only where they were exported from one.
    uid: object = None
    resource_version: object = None
    generation: object = None
    creation_timestamp: object = None
    deletion_timestamp: object = None
    deletion_grace_period_seconds: object = None
    managed_fields: object = None
    self_link: object = None


class ObjectSpec(Spec):
    """The root of an object; a kind adds its own fields (`spec`, `data`, ...)."""

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()
    status: object = None
    """An API server's or controller's word, not the user's."""
