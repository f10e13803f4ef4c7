"""Kong's `response-transformer`: headers and JSON of answers (schema of Kong 3.9.3)."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins import transforms
from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.dialects.schema import Items, show
from meshgate.model.policies.change import JsonChanges, Pairs
from meshgate.model.policy import ResponseTransformer

STEPS = ("remove", "rename", "replace", "add", "append")
_TYPED = STEPS[2:]
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", re.ASCII)
JsonType = Literal["boolean", "number", "string"]


class Changes(Config):
    """What one step does to headers, and to JSON bodies."""

    json_: Annotated[Items[str], Field(alias="json")] = ()
    headers: Items[str] = ()


class TypedChanges(Changes):
    """A step that can say what JSON values become."""

    json_types: Items[JsonType] = ()


class ResponseTransformerConfig(Config):
    """Every field of the plugin."""

    remove: Changes = Changes()
    rename: Changes = Changes()
    replace: TypedChanges = TypedChanges()
    add: TypedChanges = TypedChanges()
    append: TypedChanges = TypedChanges()


def lower_response_transformer(config: ResponseTransformerConfig, report: Report) -> ResponseTransformer:
    """The policy."""
    headers = {step: getattr(config, step).headers for step in STEPS}
    return ResponseTransformer(
        headers=transforms.header_changes(headers, report),
        body=_json(config, report) if any(getattr(config, step).json_ for step in STEPS) else None,
        origin=report.origin(),
    )


def _json(config: ResponseTransformerConfig, report: Report) -> JsonChanges:
    renamed = transforms.member_pairs(config.rename.json_, ("rename", "json"), report)
    made = {step: _typed(getattr(config, step), step, report) for step in _TYPED}
    return JsonChanges(
        remove=transforms.member_names(config.remove.json_, ("remove", "json"), report),
        rename=tuple((old, new) for old, new, _ in renamed),
        replace=made["replace"],
        add=made["add"],
        append=made["append"],
    )


def _typed(step: TypedChanges, name: str, report: Report) -> Pairs:
    """Members with JSON values; the type of a value stands at its own index of `json_types`."""
    found: list[tuple[str, str]] = []
    for member, value, path in transforms.member_pairs(step.json_, (name, "json"), report):
        index = path[-1]
        assert isinstance(index, int)
        kind = step.json_types[index] if index < len(step.json_types) else "string"
        if kind == "number" and not _is_number(value):
            report.error("MG2103", path, f"must be a number, got {show(value)}")
            continue
        found.append((member, _value(value, kind)))
    return tuple(found)


def _value(text: str, kind: JsonType) -> str:
    match kind:
        case "boolean":
            return "true" if text == "true" else "false"
        case "number":
            number = float(text)
            return str(int(number)) if number == int(number) and abs(number) < 1e14 else f"{number:.14g}"
        case "string":
            return json.dumps(text, ensure_ascii=False)


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None and math.isfinite(float(text))
