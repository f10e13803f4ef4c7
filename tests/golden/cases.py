"""The golden cases: folders with an `in.yaml`, and what its first lines ask for.

# proxies: gateway, checkout.shop     whose resources xds.yaml shows (default: gateway)
# asks: payment, payment.shop:8080    hosts that the sidecars' applications ask for
# isolation: netns                    of the sidecars (default: ports)
# full                                nothing is left out of xds.yaml
# allow-lua                           plugins may run Lua that stands in them
# native                              the gateway has our own filters
# files                               names files that are not there, so Envoy is not asked about it
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from meshgate.core.diagnostics import Diagnostic, ordered
from meshgate.model.graph import Model
from meshgate.model.proxy import Isolation, Proxy
from meshgate.pipeline import build, read_texts
from meshgate.simulate import redact, stand_in, try_patches
from meshgate.simulate.call import GATEWAY, caller_key
from meshgate.simulate.certificates import leaf
from meshgate.simulate.stand_in import gateway_proxy, sidecar_proxy

ROOT = Path(__file__).parent
BASELINE = "kubernetes/baseline"
"""The case whose resources others are compared with."""


_PAIR = re.compile(r"@(certificate|key)\(([a-z.-]+)\)@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One folder, read and linked."""

    name: str
    model: Model
    """Linked, nothing invented."""
    diagnostics: tuple[Diagnostic, ...]
    proxies: tuple[str, ...]
    asks: tuple[str, ...]
    isolation: Isolation
    full: bool
    files: bool
    native: bool
    allow_lua: bool

    def translated(self) -> Model:
        """With invented pods, and without secrets."""
        return redact(stand_in(self.model, isolation=self.isolation))

    def proxy(self, name: str) -> Proxy:
        """The proxy of that name; it must be there."""
        if name == GATEWAY:
            return gateway_proxy(native_filters=self.native)
        found = sidecar_proxy(self.model, caller_key(name), self.isolation)
        assert found is not None, f"{self.name}: {name} has no sidecar"
        return found


def names() -> list[str]:
    """`<dialect>/<case>` of all cases."""
    return sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("*/*/in.yaml"))


@lru_cache(maxsize=256)
def read(name: str) -> Case:
    """The case; the same object every time, for reading it is pure."""
    text = text_of(name)
    said = _header(text)
    documents, problems = read_texts({"in.yaml": text})
    built = build(documents, allow_lua="allow-lua" in said)
    isolation = Isolation(said.get("isolation", "ports"))
    tried = try_patches(built.model, isolation)
    return Case(
        name=name,
        model=built.model,
        diagnostics=ordered((*problems, *built.diagnostics, *tried)),
        proxies=_list(said.get("proxies", GATEWAY)),
        asks=_list(said.get("asks", "")),
        isolation=isolation,
        full="full" in said,
        files="files" in said,
        native="native" in said,
        allow_lua="allow-lua" in said,
    )


def text_of(name: str) -> str:
    """The case's input; `@certificate(HOST)@` and `@key(HOST)@` stand for a pair made for that host.

    So no private key, not even a worthless one, lies in the repository.
    """
    text = (ROOT / name / "in.yaml").read_text(encoding="utf-8")
    return _PAIR.sub(lambda found: _base64(found.group(1), found.group(2)), text)


def _base64(what: str, host: str) -> str:
    chain, key = leaf(host, (host,))
    return base64.b64encode(chain if what == "certificate" else key.reveal()).decode()


def _header(text: str) -> dict[str, str]:
    said: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        key, _, value = line[1:].strip().partition(":")
        if key in ("proxies", "asks", "isolation", "full", "files", "allow-lua", "native"):
            said[key] = value.strip()
    return said


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
