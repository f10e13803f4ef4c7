"""Keeps answers in bounded memory, the least used going first, and forgets them when told."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields

from meshgate.bridge.cache.keys import Selected, selected
from meshgate.bridge.cache.stored import Stored
from meshgate.bridge.request import Request
from meshgate.model.policies.cached import CACHE_LIMITS, CacheLimits

MAX_VARIANTS = 8
"""How many sets of headers the answers under one key may vary by; what comes after starts anew."""
REVALIDATION_S = 10.0
"""How long others wait for the one who asks the service, before one of them asks too."""
_REMEMBERED = 4096
"""How many addresses that were changed lately are known one by one."""

_Id = tuple[str, Selected]


@dataclass(slots=True)
class Counts:
    """What happened since the start."""

    hits: int = 0
    misses: int = 0
    refreshes: int = 0
    bypasses: int = 0
    stored: int = 0
    evicted: int = 0
    """For want of memory."""
    purged: int = 0
    invalidated: int = 0
    """By requests that change what they address (RFC 9111, section 4.4)."""

    def as_dict(self) -> dict[str, int]:
        """By name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which answers are meant; what is empty does not matter, and so an empty one means all."""

    key: str = ""
    route: str = ""
    """`NAMESPACE/NAME`, or a label as metrics show it."""
    service: str = ""
    host: str = ""
    path: str = ""
    """Without a query: whatever query. A `*` at its end stands for anything."""

    def meets(self, stored: Stored) -> bool:
        """Whether the answer is one of those."""
        if self.key and self.key != stored.key:
            return False
        if not _of_object(self.route, stored.route) or not _of_object(self.service, stored.service):
            return False
        if self.host and self.host.lower() not in (stored.host, stored.host.partition(":")[0]):
            return False
        if not self.path:
            return True
        if self.path.endswith("*"):
            return stored.request_path.startswith(self.path[:-1])
        found = stored.request_path if "?" in self.path else stored.request_path.partition("?")[0]
        return found == self.path


def _of_object(wanted: str, label: str) -> bool:
    """Whether a label is that of an object: `default/shop` has `default.shop` and `default.shop.80`."""
    name = wanted.replace("/", ".")
    return not name or label == name or label.startswith(f"{name}.")


@dataclass(slots=True)
class Store:
    """All answers of all routes."""

    limits: CacheLimits = CACHE_LIMITS
    counts: Counts = field(default_factory=Counts)
    bytes: int = 0
    in_flight: int = 0
    """Bytes of bodies that are on their way, and may be kept."""
    _entries: OrderedDict[_Id, Stored] = field(default_factory=OrderedDict)
    _names: dict[str, dict[tuple[str, ...], int]] = field(default_factory=dict)
    """Key -> the sets of headers that its answers vary by, and how many do by each."""
    _at: dict[tuple[str, str], set[_Id]] = field(default_factory=dict)
    """Host and path -> what is kept of it."""
    _revalidating: dict[_Id, float] = field(default_factory=dict)
    _step: int = 0
    _floor: int = 0
    """Answers to requests from before this step are not kept."""
    _changed: OrderedDict[tuple[str, str], int] = field(default_factory=OrderedDict)
    """Host and path -> the step at which it was changed."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def max_bytes(self) -> int:
        """What all answers may take."""
        return self.limits.memory_bytes

    def limit(self, limits: CacheLimits) -> None:
        """Keeps no more than this from now on."""
        self.limits = limits
        self._make_room(0)

    def now(self) -> int:
        """The step of this moment: a request remembers it, and hands it to `put` with its answer."""
        return self._step

    def get(self, key: str, request: Request, now: float) -> Stored | None:
        """The newest answer that fits, whether it is fresh or not."""
        best: Stored | None = None
        for names in tuple(self._names.get(key, ())):
            found = self._entries.get((key, selected(names, request)))
            if found is not None and found.keep_until <= now:
                self._remove((found.key, found.selected))
            elif found is not None and (best is None or found.times.received > best.times.received):
                best = found
        if best is not None:
            self._entries.move_to_end((best.key, best.selected))
        return best

    def put(self, stored: Stored, step: int) -> bool:
        """Keeps an answer whose request came at that step; false where it was overtaken, or is too large."""
        place = (stored.host, stored.request_path)
        if step < self._floor or step < self._changed.get(place, 0) or stored.bytes > self.max_bytes:
            return False
        one = (stored.key, stored.selected)
        self._remove(one)
        self._make_room(stored.bytes)
        names = self._names.setdefault(stored.key, {})
        by = tuple(name for name, _ in stored.selected)
        if by not in names and len(names) >= MAX_VARIANTS:
            for other in [i for i in self._entries if i[0] == stored.key]:
                self._remove(other)
            names = self._names.setdefault(stored.key, {})
        names[by] = names.get(by, 0) + 1
        self._entries[one] = stored
        self._at.setdefault(place, set()).add(one)
        self.bytes += stored.bytes
        self.counts.stored += 1
        return True

    def reserve(self, count: int) -> bool:
        """Whether so many bytes of a body on its way may be held too; a quarter of all memory is for them."""
        if self.in_flight + count > self.max_bytes // 4:
            return False
        self.in_flight += count
        return True

    def release(self, count: int) -> None:
        """Gives back what was reserved."""
        self.in_flight -= count

    def begin_revalidation(self, stored: Stored, now: float) -> bool:
        """Whether the caller is the one to ask the service; false where somebody just does."""
        one = (stored.key, stored.selected)
        if self._revalidating.get(one, 0) > now:
            return False
        self._revalidating[one] = now + REVALIDATION_S
        return True

    def end_revalidation(self, stored: Stored) -> None:
        """The service has answered."""
        self._revalidating.pop((stored.key, stored.selected), None)

    def drop(self, stored: Stored) -> None:
        """Forgets one answer."""
        self._remove((stored.key, stored.selected))

    def invalidate(self, places: Iterable[tuple[str, str]]) -> None:
        """Forgets all that is kept of these hosts and paths, and what is on its way from before."""
        self._step += 1
        for place in places:
            self._changed[place] = self._step
            self._changed.move_to_end(place)
            if len(self._changed) > _REMEMBERED:
                self._floor = self._changed.popitem(last=False)[1]
            for one in tuple(self._at.get(place, ())):
                self._remove(one)
                self.counts.invalidated += 1

    def purge(self, meets: Callable[[Stored], bool]) -> int:
        """Forgets what meets the condition, and keeps nothing that is on its way; how many they were."""
        self._step += 1
        self._floor = self._step
        gone = [one for one, stored in self._entries.items() if meets(stored)]
        for one in gone:
            self._remove(one)
        self.counts.purged += len(gone)
        return len(gone)

    def _make_room(self, count: int) -> None:
        while self._entries and self.bytes + count > self.max_bytes:
            self._remove(next(iter(self._entries)))
            self.counts.evicted += 1

    def _remove(self, one: _Id) -> None:
        stored = self._entries.pop(one, None)
        self._revalidating.pop(one, None)
        if stored is None:
            return
        self.bytes -= stored.bytes
        names, by = self._names[stored.key], tuple(name for name, _ in stored.selected)
        names[by] -= 1
        if not names[by]:
            del names[by]
        if not names:
            del self._names[stored.key]
        place = (stored.host, stored.request_path)
        self._at[place].discard(one)
        if not self._at[place]:
            del self._at[place]
