"""What kubectl's verbs do to the object store, in kubectl's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity, has_errors
from meshgate.core.origin import format_path
from meshgate.dialects.document import Document, Json
from meshgate.dialects.metadata import is_label_value, is_qualified_name
from meshgate.sources import kinds
from meshgate.sources.backend import (
    AdminError,
    ApplyRequest,
    Backend,
    Change,
    Changes,
    DeleteRequest,
    GetAnswer,
    GetQuery,
    JsonObject,
    LabelRequest,
    Listed,
    PatchRequest,
)
from meshgate.sources.built_in import BUILT_IN, BUILT_IN_FILE, IMPLICIT_NAMESPACES
from meshgate.sources.kinds import KindName
from meshgate.sources.merging import merge_patch, three_way, too_deep
from meshgate.sources.object_json import (
    deleted_name,
    is_kind,
    keep_identity,
    labels_of,
    lines_of,
    metadata_of,
    not_found,
    place_of,
    without_server_members,
)
from meshgate.sources.objects import ObjectStore
from meshgate.sources.requested import made_here, one_writable, read_requested, wanted_kinds
from meshgate.sources.selectors import parse_selector
from meshgate.sources.stored import StoredObject


class ObjectApi:
    """Get, apply, delete, patch and label. Raises `AdminError` for what cannot be done at all."""

    def __init__(self, store: ObjectStore, backend: Backend) -> None:
        self._store, self._backend = store, backend

    # ---- reading ----

    def get(self, query: GetQuery) -> GetAnswer:
        """Objects by kind and name, with what Meshgate knows of their state."""
        wanted = wanted_kinds(query.kinds, query.names, self._there())
        matches = parse_selector(query.selector)
        lists: list[Listed] = []
        missing: list[str] = []
        for kind, names in wanted:
            found = [o for o in self._all(kind, query) if matches(labels_of(o))]
            if names:
                by_name = {metadata_of(o).get("name"): o for o in found}
                missing += [not_found(kind, name) for name in names if name not in by_name]
                found = [by_name[name] for name in names if name in by_name]
            lists.append(
                Listed(
                    kind=kind.kind, resource=kind.resource, namespaced=kind.namespaced, objects=tuple(found)
                )
            )
        return GetAnswer(lists=tuple(lists), missing=tuple(missing))

    def _there(self) -> frozenset[tuple[str, str]]:
        """The kinds of which there are objects."""
        return frozenset((o.ref.group, o.ref.kind) for o in self._store.objects())

    def _all(self, kind: KindName, query: GetQuery) -> list[JsonObject]:
        objects = [
            self._shown(o)
            for o in self._store.objects()
            if (o.ref.group, o.ref.kind) == (kind.group, kind.kind)
        ]
        if kind.generated:
            written = {place_of(o) for o in objects}
            made = (o for o in self._backend.generated_objects() if is_kind(o, kind))
            objects += [o for o in made if place_of(o) not in written]
        if kind.namespaced and not query.all_namespaces:
            objects = [o for o in objects if metadata_of(o).get("namespace") == query.namespace]
        return sorted(objects, key=place_of)

    def _shown(self, stored: StoredObject) -> JsonObject:
        view = stored.view()
        if stored.ref.kind == "Namespace":
            view = {**view, "status": {"phase": "Active"}}
        overlay = cast("Mapping[str, Json]", self._backend.overlay(stored.ref))
        status = overlay.get("status")
        if stored.ref.group == "apps" and isinstance(status, Mapping):
            # Where the Gateway API has it, it is a condition's.
            observed = stored.identity.generation - (not self._backend.in_force(stored.document))
            overlay = {**overlay, "status": {**status, "observedGeneration": observed}}
        return cast("JsonObject", merge_patch(view, overlay)) if overlay else view

    # ---- writing ----

    def apply(self, request: ApplyRequest) -> Changes:
        """Creates or changes the objects of manifests; one with errors changes nothing."""
        documents, diagnostics = read_requested(request.texts, request.namespace)
        changes: list[Change] = []
        for document in documents:
            kind = kinds.find_kind(document.ref.group, document.ref.kind)
            if kind.read_only:
                changes.append(Change(resource=kind.of(document.ref.name), verb="invalid"))
                diagnostics.append(made_here(document))
                continue
            said = self._store.check(document)
            diagnostics += said
            if document.problem or has_errors(said):
                verb = "invalid"
            else:
                verb = self._apply_one(document)
            changes.append(Change(resource=kind.of(document.ref.name), verb=verb))
        errors = () if documents or diagnostics else ("no objects passed to apply",)
        return Changes(changes=tuple(changes), diagnostics=lines_of(diagnostics), errors=errors)

    def _apply_one(self, document: Document) -> str:
        document = replace(document, data=without_server_members(document.data))
        stored = self._store.get(document.ref)
        if stored is None:
            self._store.put(document, document.data)
            return "created"
        live = without_server_members(stored.document.data)
        merged = three_way(self._store.last_applied(document.ref), live, document.data)
        assert isinstance(merged, Mapping)
        if merged == live:
            return "unchanged"
        changed = replace(document, data=merged)
        if has_errors(self._store.check(changed)):
            changed = document  # the two together make no sense: what was written now wins
        self._store.put(changed, document.data)
        return "configured"

    def delete(self, request: DeleteRequest) -> Changes:
        """Removes objects by name, or those of manifests."""
        targets: list[tuple[KindName, ObjectRef]] = []
        diagnostics: list[Diagnostic] = []
        if request.texts:
            documents, diagnostics = read_requested(request.texts, "")
            for document in documents:
                kind = kinds.find_kind(document.ref.group, document.ref.kind)
                targets.append((kind, document.ref))
        else:
            for kind, names in wanted_kinds(request.kinds, request.names, self._there()):
                if not names:
                    raise AdminError("invalid", f"no {kind.kind} was named", "give its name, or -f FILE")
                targets += [(kind, kind.ref(request.namespace, name)) for name in names]
        changes: list[Change] = []
        errors: list[str] = []
        for kind, ref in targets:
            if problem := self._undeletable(kind, ref):
                errors.append(problem)
            elif self._store.get(ref) is not None:
                self._store.remove(ref, *self._inside(ref))
                changes.append(Change(resource=deleted_name(kind, ref.name), verb="deleted"))
            elif not request.ignore_not_found:
                errors.append(not_found(kind, ref.name))
        return Changes(changes=tuple(changes), diagnostics=lines_of(diagnostics), errors=tuple(errors))

    def _inside(self, ref: ObjectRef) -> list[ObjectRef]:
        """What goes with a namespace."""
        if (ref.group, ref.kind) != ("", "Namespace"):
            return []
        return [o.ref for o in self._store.objects() if o.ref.namespace == ref.name]

    def _undeletable(self, kind: KindName, ref: ObjectRef) -> str:
        if kind.read_only:
            return f"{kind.plural} are made by Meshgate; delete what they come from"
        if kind.kind == "Namespace" and ref.name in IMPLICIT_NAMESPACES:
            return f'namespaces "{ref.name}" is forbidden: this namespace may not be deleted'
        stored = self._store.get(ref)
        if ref in BUILT_IN and stored is not None and stored.document.file == BUILT_IN_FILE:
            return f'{kind.resource} "{ref.name}" is forbidden: it is there by itself'
        return ""

    def patch(self, request: PatchRequest) -> Changes:
        """A JSON merge patch (RFC 7386) on one object."""
        kind = one_writable(request.kind, self._there())
        if too_deep(cast("Json", request.patch)):
            raise AdminError("invalid", "the patch must be a JSON object of at most 100 levels")
        changed, diagnostics = self._change(kind, request, cast("Mapping[str, Json]", request.patch))
        verb = "patched" if changed else "patched (no change)"
        return Changes(
            changes=(Change(resource=kind.of(request.name), verb=verb),),
            diagnostics=lines_of(diagnostics),
        )

    def label(self, request: LabelRequest) -> Changes:
        """Sets labels, and removes those whose value is None."""
        kind = one_writable(request.kind, self._there())
        for key, value in request.labels.items():
            if not is_qualified_name(key) or not is_label_value(value or ""):
                raise AdminError("invalid", f"{key}={value or ''} is not a valid label")
        changes: list[Change] = []
        diagnostics: list[Diagnostic] = []
        for name in request.names:
            target = PatchRequest(kind=request.kind, name=name, namespace=request.namespace, patch={})
            labels = labels_of(self._existing(kind, target).view())
            taken = {
                k: labels[k] for k, v in request.labels.items() if v is not None and labels.get(k, v) != v
            }
            if taken and not request.overwrite:
                key, value = next(iter(taken.items()))
                raise AdminError(
                    "forbidden", f"'{key}' already has a value ({value}), and --overwrite is false"
                )
            patch: Mapping[str, Json] = {"metadata": {"labels": dict(request.labels)}}
            changed, said = self._change(kind, target, patch)
            diagnostics += said
            only_removed = all(value is None for value in request.labels.values())
            verb = ("unlabeled" if only_removed else "labeled") if changed else "not labeled"
            changes.append(Change(resource=kind.of(name), verb=verb))
        return Changes(changes=tuple(changes), diagnostics=lines_of(diagnostics))

    def _existing(self, kind: KindName, target: PatchRequest) -> StoredObject:
        stored = self._store.get(kind.ref(target.namespace, target.name))
        if stored is None:
            raise AdminError("not_found", not_found(kind, target.name))
        return stored

    def _change(
        self, kind: KindName, target: PatchRequest, patch: Mapping[str, Json]
    ) -> tuple[bool, tuple[Diagnostic, ...]]:
        stored = self._existing(kind, target)
        before = without_server_members(stored.document.data)
        after = merge_patch(before, patch)
        assert isinstance(after, Mapping)
        after = without_server_members(after)
        if after == before:
            return False, ()
        keep_identity(before, after)
        changed = replace(stored.document, data=after, problem="")
        said = self._store.check(changed)
        if has_errors(said):
            first = next(d for d in said if d.severity is Severity.ERROR)
            where = f"{format_path(first.field)}: " if first.field else ""
            raise AdminError(
                "invalid", f'{kind.kind} "{target.name}" is invalid: {where}{first.message}', first.remedy
            )
        self._store.put(changed)
        return True, said
