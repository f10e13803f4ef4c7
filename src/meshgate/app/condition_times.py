"""Since when each condition is as it is: kept in a file, so that a restart makes nothing look new."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)


class ConditionTimes:
    """Name of a condition -> whether it holds, and since when (RFC 3339)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)

    def since(self, name: str) -> str:
        """Empty for a condition that is not there."""
        return self._known.get(name, (False, ""))[1]

    def take(self, conditions: Mapping[str, bool], now: str) -> None:
        """What holds from now on; conditions that are gone are forgotten."""
        fresh: dict[str, tuple[bool, str]] = {}
        for name, holds in conditions.items():
            known = self._known.get(name)
            fresh[name] = known if known and known[0] == holds else (holds, now)
        if fresh != self._known:
            self._known = fresh
            self._write()

    def _write(self) -> None:
        fresh = self._path.with_suffix(".tmp")
        try:
            fresh.write_text(json.dumps(self._known, sort_keys=True))
            fresh.replace(self._path)
        except OSError as error:
            # Nothing depends on it but what is shown after a restart.
            _log.warning("condition_times_not_kept", path=str(self._path), reason=str(error))


def _read(path: Path) -> dict[str, tuple[bool, str]]:
    """What the file says; nothing where it is not there or is none of ours."""
    try:
        found = json.loads(path.read_text())
        return {str(name): (bool(holds), str(since)) for name, (holds, since) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
