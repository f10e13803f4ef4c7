"""What gRPC services speak, as far as files and ConfigMaps say it; what pods say is asked elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshgate.core.diagnostics import Diagnostic, ObjectRef, Severity
from meshgate.core.origin import Origin
from meshgate.model.declared import ConfigMapObject, Declared
from meshgate.model.graph import Model
from meshgate.model.policies.grpc import (
    ProtoConfigMap,
    ProtoDescriptor,
    ProtoFile,
    ProtoReflection,
    Transcoding,
    transcoding_plugin,
)
from meshgate.sources.protos import NoDescriptor, checked, compile_file, compile_texts

Stamp = tuple[tuple[str, int, int], ...]
"""Files with the time of their last change and their size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A description that a route needs, and whose."""

    how: Transcoding
    ref: ObjectRef
    origin: Origin


def wanted(model: Model) -> Mapping[str, Wanted]:
    """By `Transcoding.key`, each once."""
    found: dict[str, Wanted] = {}
    for host in model.edge_hosts.values():
        for rule in host.rules:
            for plugin in map(transcoding_plugin, rule.policies_of_each):
                if plugin is not None and plugin.transcoding is not None and plugin.ref is not None:
                    one = Wanted(how=plugin.transcoding, ref=plugin.ref, origin=plugin.origin)
                    found.setdefault(one.how.key, one)
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class _Made:
    """What became of a file, and which files that depends on."""

    outcome: ProtoDescriptor | str
    """A description, or why there is none."""
    files: tuple[str, ...]
    stamp: Stamp


@dataclass(slots=True)
class DescriptorFiles:
    """Compiles what has changed and remembers the rest."""

    _made: dict[str, _Made] = field(default_factory=dict)

    def read(
        self, model: Model, declared: Declared
    ) -> tuple[dict[str, ProtoDescriptor], tuple[Diagnostic, ...]]:
        """The descriptions of all routes but those that pods give, and why others cannot be had (MG3113)."""
        config_maps = {(c.name.namespace, c.name.name): c for c in declared.config_maps}
        found: dict[str, ProtoDescriptor] = {}
        problems: list[Diagnostic] = []
        needs = wanted(model)
        for key in self._made.keys() - needs.keys():
            del self._made[key]
        for key, one in needs.items():
            try:
                if (descriptor := self._one(key, one.how, config_maps)) is not None:
                    found[key] = descriptor
            except NoDescriptor as error:
                problems.append(no_descriptor(one, str(error)))
        return found, tuple(problems)

    def changed(self) -> bool:
        """Whether a file that something was made of is not what it was."""
        return any(made.stamp != _stamp(made.files) for made in self._made.values())

    @property
    def watches(self) -> bool:
        """Whether there is any file to look at."""
        return bool(self._made)

    def _one(
        self, key: str, how: Transcoding, config_maps: Mapping[tuple[str, str], ConfigMapObject]
    ) -> ProtoDescriptor | None:
        match how.source:
            case ProtoFile(path=path, folder=folder):
                return self._file(key, how, path, folder)
            case ProtoConfigMap(namespace=namespace, name=name) as source:
                there = config_maps.get((namespace, name))
                if there is None:
                    raise NoDescriptor(f"there is no ConfigMap {namespace}/{name}")
                return _of_config_map(there, source, how)
            case ProtoReflection():
                return None

    def _file(self, key: str, how: Transcoding, path: str, folder: str) -> ProtoDescriptor:
        made = self._made.get(key)
        if made is None or made.stamp != _stamp(made.files):
            self._made[key] = made = _compiled(how, path, folder)
        if isinstance(made.outcome, str):
            raise NoDescriptor(made.outcome)
        return made.outcome


def _compiled(how: Transcoding, path: str, folder: str) -> _Made:
    outcome: ProtoDescriptor | str
    # A file that is missing or wrong may be mended by any other beside it.
    files = _beside(Path(folder, path))
    try:
        compiled = compile_file(path, folder)
        files = compiled.files
        outcome = checked(compiled.content, how)
    except NoDescriptor as error:
        outcome = str(error)
    return _Made(outcome, files, _stamp(files))


def no_descriptor(one: Wanted, why: str, severity: Severity = Severity.ERROR) -> Diagnostic:
    """The diagnostic about a description that cannot be had."""
    return Diagnostic(
        severity=severity,
        code="MG3113",
        origin=one.origin,
        object=one.ref,
        message=f"{why}; its routes answer 503",
        remedy="see docs/grpc.md for what can describe a service",
    )


def _of_config_map(there: ConfigMapObject, source: ProtoConfigMap, how: Transcoding) -> ProtoDescriptor:
    keys = (*there.data, *there.binary)
    if not source.key and len(keys) != 1:
        held = f"holds {', '.join(sorted(keys))}" if keys else "is empty"
        raise NoDescriptor(f"ConfigMap {there.name} {held}; name one key")
    key = source.key or keys[0]
    if key not in keys:
        raise NoDescriptor(f"ConfigMap {there.name} has no key {key}")
    try:
        content = there.binary[key] if key in there.binary else compile_texts(there.data, key).content
        return checked(content, how)
    except NoDescriptor as error:
        raise NoDescriptor(f"{key} of ConfigMap {there.name}: {error}") from error


def _beside(main: Path) -> tuple[str, ...]:
    beside = sorted(str(path) for path in main.parent.glob("*.proto") if path != main)
    # The folder itself changes when a file comes into it.
    return (str(main), str(main.parent), *beside)


def _stamp(files: tuple[str, ...]) -> Stamp:
    found = []
    for file in files:
        try:
            seen = Path(file).stat()
        except OSError:
            found.append((file, 0, -1))
        else:
            found.append((file, seen.st_mtime_ns, seen.st_size))
    return tuple(found)
