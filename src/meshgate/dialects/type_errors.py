"""What pydantic finds wrong, in our words: the field, the code, the rule and the remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic_core import ErrorDetails

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Json
from meshgate.dialects.wording import did_you_mean

_BOOLEANS = ("true", "false", "yes", "no", "on", "off")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_TYPES = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dict_type": "an object",
    "mapping_type": "an object",
    "tuple_type": "a list",
    "list_type": "a list",
    "frozen_set_type": "a list",
    "set_type": "a list",
}
_BOUNDS = {
    "greater_than_equal": (">=", "ge"),
    "greater_than": (">", "gt"),
    "less_than_equal": ("<=", "le"),
    "less_than": ("<", "lt"),
}


def explain(detail: ErrorDetails) -> tuple[str, str, str]:
    """(code, rule, remedy) of a pydantic error."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "meshgate":
        return context["code"], context["message"], context["remedy"]
    if kind == "secret":
        return "MG2001", detail["msg"], "put it in quotes"
    if kind in _TYPES:
        remedy = _other_type(_TYPES[kind], detail["input"])
        return "MG2001", f"must be {_TYPES[kind]}", remedy
    if kind == "missing":
        return "MG2003", "is required", ""
    if kind in _BOUNDS:
        sign, name = _BOUNDS[kind]
        return "MG2002", f"must be {sign} {context[name]}", ""
    if kind in ("literal_error", "enum"):
        expected = str(context["expected"]).replace("'", "")
        written = detail["input"]
        near = (
            did_you_mean(written, expected.replace(" or ", ", ").split(", "))
            if isinstance(written, str)
            else ""
        )
        return "MG2002", f"must be one of {expected}", near
    if kind in ("too_short", "string_too_short"):
        return "MG2002", f"must have at least {context.get('min_length')}", ""
    if kind in ("too_long", "string_too_long"):
        return "MG2002", f"must have at most {context.get('max_length')}", ""
    if kind == "string_pattern_mismatch":
        return "MG2002", f"must match {context['pattern']}", ""
    return "MG2002", str(detail["msg"]).removeprefix("Value error, ")[:200], ""


def _other_type(wanted: str, written: object) -> str:
    """What to do about a value of another type."""
    match wanted, written:
        case "a string", bool() | int() | float():
            return "put it in quotes"
        case "a whole number" | "a number", str() if _NUMBER.fullmatch(written):
            return "write it without quotes"
        case "true or false", str() if written.lower() in _BOOLEANS:
            return "write it without quotes"
        case "a list", Mapping():
            return "begin each item with a hyphen"
        case "a list", str() | int() | float():
            return "write it in [ ], or behind a hyphen"
        case "an object", list() | tuple():
            return "write NAME: VALUE, without hyphens"
        case _:
            return ""


def real_path(node: Json, loc: tuple[int | str, ...]) -> FieldPath:
    """pydantic's location in `node` without the names of union members, which are no fields."""
    result: list[int | str] = []
    for i, part in enumerate(loc):
        last = i == len(loc) - 1
        if (
            isinstance(node, Mapping)
            and isinstance(part, str)
            and (part in node or (last and _is_field(part)))
        ):
            node = node.get(part)
        elif isinstance(node, list | tuple) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            continue
        result.append(part)
    return tuple(result)


def _is_field(part: str) -> bool:
    return part.isidentifier() and part not in ("str", "int", "float", "bool")
