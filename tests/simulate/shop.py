"""The shop's manifests as a model: what the README's examples and the demo run on."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from meshgate.model.graph import Model
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in

MANIFESTS = Path(__file__).parents[2] / "examples/shop/manifests"


@lru_cache(maxsize=1)
def shop() -> Model:
    """With invented pods; the secrets are the example's own."""
    return stand_in(build(read_texts(texts())[0]).model)


def texts() -> dict[str, str]:
    """File name -> text."""
    files = sorted(MANIFESTS.rglob("*.yaml"))
    return {str(f.relative_to(MANIFESTS)): f.read_text(encoding="utf-8") for f in files}
