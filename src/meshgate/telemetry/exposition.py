"""Prometheus' text format (version 0.0.4), read and written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$")
_ESCAPED = re.compile(r"\\(.)")
_SUFFIXES = ("_bucket", "_sum", "_count", "_total")

Labels = tuple[tuple[str, str], ...]
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line."""

    name: str
    labels: Labels
    value: float


@dataclass(slots=True)
class Family:
    """All samples of one metric; those with equal names and labels are added up."""

    kind: str
    help: str = ""
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        """Adds to what is there already."""
        key = (sample.name, sample.labels)
        self.samples[key] = self.samples.get(key, 0.0) + sample.value


class Exposition:
    """Families by name, in the order in which they came."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}

    def add(self, kind: str, family: str, samples: Iterable[Sample], help: str = "") -> None:
        """Adds samples to a family; of two kinds for one name the first holds."""
        found = self._families.setdefault(family, Family(kind=kind, help=help))
        for sample in samples:
            found.add(sample)

    def gauge(self, name: str, value: float, labels: Mapping[str, str], help: str = "") -> None:
        """One value."""
        self.add("gauge", name, (Sample(name, tuple(labels.items()), value),), help)

    def text(self) -> str:
        """All of it."""
        lines: list[str] = []
        for name, family in self._families.items():
            if not family.samples:
                continue
            if family.help:
                lines.append(f"# HELP {name} {family.help}")
            if family.kind:
                lines.append(f"# TYPE {name} {family.kind}")
            lines.extend(_line(sample, labels, value) for (sample, labels), value in family.samples.items())
        return "\n".join(lines) + "\n" if lines else ""


def read(text: str) -> Iterator[tuple[str, str, Sample]]:
    """(family, kind, sample) of each line that is one; others are passed over."""
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            words = line.split(maxsplit=3)
            if len(words) == 4 and words[1] == "TYPE":
                kinds[words[2]] = words[3]
            continue
        found = _SAMPLE.match(line.strip())
        if found is None:
            continue
        try:
            value = float(found[3])
        except ValueError:
            continue
        labels = tuple((name, _unescaped(text)) for name, text in _LABEL.findall(found[2] or ""))
        family = _family(found[1], kinds)
        yield family, kinds.get(family, ""), Sample(found[1], labels, value)


def _family(name: str, kinds: Mapping[str, str]) -> str:
    if name in kinds:
        return name
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and name.removesuffix(suffix) in kinds:
            return name.removesuffix(suffix)
    return name


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    shown = f"{value:.17g}" if value != int_or_none(value) else str(int(value))
    return f"{name}{{{inside}}} {shown}" if inside else f"{name} {shown}"


def int_or_none(value: float) -> float | None:
    """The value where it is a whole number that a float holds exactly."""
    return value if value.is_integer() and abs(value) < 2**53 else None


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text)
