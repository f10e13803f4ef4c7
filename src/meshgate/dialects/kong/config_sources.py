"""Config of a KongPlugin that comes from Secrets: `configFrom` and `configPatches` (KIC 3.5).

The plugin's object is given the config as if it were written there, so that everything after
this reads it as any other; what is wrong with it is told without its values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import yaml
from yaml._yaml import CParser

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.core.secret import Secret
from meshgate.dialects.compose import ComposeError, Composer
from meshgate.dialects.document import Document, Json
from meshgate.dialects.kind import FindSecret
from meshgate.dialects.schema import problem
from meshgate.model.declared import Plugin
from meshgate.model.names import Name

CONFIG_FROM, CONFIG_PATCHES = "configFrom", "configPatches"
HIDDEN = "what it holds comes from a Secret and is not shown"


@dataclass(slots=True)
class Joined:
    """A plugin's object with its config in place."""

    document: Document
    problems: list[Diagnostic] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    """Texts out of Secrets, which no message may hold."""

    def tell(self, diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
        """The diagnostics without anything out of a Secret, the names of unknown fields included."""
        return [self._told(diagnostic) for diagnostic in diagnostics]

    def _told(self, diagnostic: Diagnostic) -> Diagnostic:
        if diagnostic.code == "MG1102" and diagnostic.field[:1] == ("config",):
            message = f"has an unknown field; {HIDDEN}"
            return replace(diagnostic, message=message, remedy="", field=("config",))
        if any(text in diagnostic.message or text in diagnostic.remedy for text in self.hidden):
            return replace(diagnostic, message=f"is not allowed; {HIDDEN}", remedy="")
        return diagnostic

    def problem(self, plugin: Plugin) -> Plugin:
        """The plugin; what is wrong with a config out of Secrets is not repeated elsewhere."""
        if not plugin.problem or self.problems:
            return plugin
        return replace(plugin, problem=f"its config is not allowed; {HIDDEN}")


def comes_from_secrets(document: Document) -> bool:
    """Whether a plugin's object has any config that is elsewhere."""
    return document.data.get(CONFIG_FROM) is not None or document.data.get(CONFIG_PATCHES) is not None


def join(document: Document, find: FindSecret) -> Joined:
    """The object with the config that its Secrets hold (MG2001, MG2003, MG2006, MG3005)."""
    joined = Joined(document)
    reader = _Reader(document, find, joined)
    config = document.data.get("config")
    whole = document.data.get(CONFIG_FROM)
    moved: dict[FieldPath, FieldPath] = {}
    if whole is not None:
        if config is not None:
            joined.problems.append(problem(document, "MG2006", (CONFIG_FROM,), "has no place beside config"))
        config = reader.config(whole)
        moved[("config",)] = (CONFIG_FROM,)
    patches = document.data.get(CONFIG_PATCHES)
    if patches is not None:
        config = reader.patched({} if config is None else config, patches)
    data = {key: value for key, value in document.data.items() if key not in (CONFIG_FROM, CONFIG_PATCHES)}
    joined.document = replace(document, data={**data, "config": config}, moved=moved | reader.moved)
    return joined


class _Reader:
    """Reads values out of Secrets, and collects what is wrong."""

    def __init__(self, document: Document, find: FindSecret, joined: Joined) -> None:
        self._document, self._find, self._joined = document, find, joined
        self.moved: dict[FieldPath, FieldPath] = {}

    def config(self, source: Json) -> Json:
        """The whole config."""
        path: FieldPath = (CONFIG_FROM, "secretKeyRef")
        text = self._value(source, path)
        if text is None:
            return None
        try:
            composed = Composer(CParser(text)).next_document()
        except (ComposeError, yaml.YAMLError, ValueError):
            self._wrong("MG2001", path, f"must name a key with YAML or JSON; {HIDDEN}")
            return None
        found = composed.data if composed else {}
        if not isinstance(found, Mapping) or (composed and composed.problems):
            self._wrong("MG2001", path, f"must name a key with an object in YAML or JSON; {HIDDEN}")
            return None
        self._joined.hidden.update(_texts(found))
        return found

    def patched(self, config: Json, patches: Json) -> Json:
        """The config with the patches in it, one after the other."""
        if not isinstance(patches, list | tuple):
            self._wrong("MG2001", (CONFIG_PATCHES,), "must be a list")
            return config
        for index, patch in enumerate(patches):
            path: FieldPath = (CONFIG_PATCHES, index)
            if not isinstance(patch, Mapping):
                self._wrong("MG2001", path, "must be an object")
                continue
            pointer = patch.get("path")
            if not isinstance(pointer, str) or not pointer.startswith("/"):
                self._wrong("MG2001", (*path, "path"), "must be a JSON pointer, like /redis/password")
                continue
            text = self._value(patch.get("valueFrom"), (*path, "valueFrom", "secretKeyRef"))
            if text is None:
                continue
            value = _json(text)
            self._joined.hidden.update(_texts(value))
            steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]
            config = self._set(config, steps, value, (*path, "path"))
            self.moved[("config", *steps)] = path
        return config

    def _set(self, config: Json, steps: Sequence[str], value: Json, path: FieldPath) -> Json:
        """RFC 6902's `add`; objects on the way that are missing are made."""
        if not steps:
            return value
        first, rest = steps[0], steps[1:]
        if config is None:
            config = {}
        if isinstance(config, Mapping):
            return {**config, first: self._set(config.get(first), rest, value, path)}
        if isinstance(config, list | tuple):
            items = list(config)
            if first == "-" and not rest:
                return [*items, value]
            if first.isdecimal() and int(first) <= len(items):
                at = int(first)
                if not rest:
                    return [*items[:at], value, *items[at:]]
                if at < len(items):
                    return [*items[:at], self._set(items[at], rest, value, path), *items[at + 1 :]]
        self._wrong("MG2002", path, f"leads to nothing that holds a field {first!r}")
        return config

    def _value(self, source: Json, path: FieldPath) -> str | None:
        """The text of a Secret's key."""
        wanted = (
            source.get("secretKeyRef", source.get("secretValue")) if isinstance(source, Mapping) else None
        )
        if not isinstance(wanted, Mapping):
            self._wrong("MG2003", path, "is required")
            return None
        name, key, namespace = (wanted.get(part) for part in ("name", "key", "namespace"))
        if not isinstance(name, str) or not isinstance(key, str) or not name or not key:
            self._wrong("MG2003", path, "must have name and key")
            return None
        own = self._document.namespace
        if own and namespace is not None:
            self._wrong(
                "MG2006", (*path, "namespace"), "has no place here: the Secret is in the same namespace"
            )
            return None
        if not own and not isinstance(namespace, str):
            self._wrong("MG2003", (*path, "namespace"), "is required for a KongClusterPlugin")
            return None
        return self._text(Name(own or str(namespace), name), key, path)

    def _text(self, name: Name, key: str, path: FieldPath) -> str | None:
        secret = self._find(name)
        if secret is None:
            self._wrong("MG3005", path, f"there is no Secret {name}, or it is broken", "add or mend it")
            return None
        value: Secret | None = secret.data.get(key)
        if value is None:
            self._wrong("MG3005", path, f"Secret {name} has no key {key!r}", "add it")
            return None
        try:
            return value.reveal_text()
        except UnicodeDecodeError:
            self._wrong("MG2001", path, f"Secret {name} holds no text under {key!r}")
            return None

    def _wrong(self, code: str, path: FieldPath, message: str, remedy: str = "") -> None:
        self._joined.problems.append(problem(self._document, code, path, message, remedy=remedy))


def _json(text: str) -> Json:
    """What the text is as JSON; else the text itself, as a password is that nobody has quoted."""
    try:
        found: Json = json.loads(text)
    except (ValueError, RecursionError):
        return text.rstrip("\n")
    return found


def _texts(value: Json) -> Iterator[str]:
    """Every text and number in a value."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and str(value):
        yield str(value)
