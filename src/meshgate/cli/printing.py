"""Text as kubectl lays it out: columns, ages, YAML and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import yaml

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with three spaces between columns and no space at the end of lines."""
    lines = [tuple(head), *(tuple(_CONTROL.sub("?", cell) for cell in row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "".join("   ".join(line).rstrip() + "\n" for line in padded)


def as_yaml(data: object) -> str:
    """YAML with sorted keys and without aliases."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=100)


def as_json(data: object) -> str:
    """JSON with sorted keys, indented by four as kubectl does."""
    return json.dumps(data, indent=4, sort_keys=True, ensure_ascii=False) + "\n"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Text of several lines as a block, so that it can be read."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def age(timestamp: object, now: datetime) -> str:
    """The time since an RFC 3339 timestamp as kubectl writes it: `45s`, `5m3s`, `3h10m`, `6d`."""
    try:
        seconds = int((now - datetime.fromisoformat(str(timestamp))).total_seconds())
    except (ValueError, TypeError):
        return "<unknown>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if days < 2:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d"


def utc_now() -> datetime:
    """Now; ages are printed only."""
    return datetime.now(UTC)


def get_in(data: object, *path: str | int) -> object:
    """The value at a path in JSON data; None where there is none."""
    for part in path:
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(part, int) and isinstance(data, Sequence) and not isinstance(data, str):
            data = data[part] if part < len(data) else None
        else:
            return None
    return data


def list_in(data: object, *path: str | int) -> Sequence[object]:
    """The list at a path; empty where there is none."""
    found = get_in(data, *path)
    return found if isinstance(found, list | tuple) else ()


def text_in(data: object, *path: str | int, default: str = "<none>") -> str:
    """The value at a path as text."""
    found = get_in(data, *path)
    return default if found is None or found == "" else str(found)
