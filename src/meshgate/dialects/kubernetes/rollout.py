"""A Deployment's strategy: how pods of a new template replace the old ones."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator

from meshgate.core.diagnostics import Diagnostic
from meshgate.dialects.document import Document
from meshgate.dialects.schema import IntOrString, Spec, fault, problem
from meshgate.model.workload import Rollout

_PERCENT = re.compile(r"(0|[1-9][0-9]{0,8})%")


def _share(value: int | str) -> int | str:
    if isinstance(value, int) and value >= 0:
        return value
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return value
    raise fault("MG2002", "must be a number of pods, 0 or more, or a percentage such as 25%")


Share = Annotated[IntOrString, AfterValidator(_share)]
"""A number of pods, or a part of `replicas`."""


class RollingUpdateSpec(Spec):
    max_surge: Share = "25%"
    max_unavailable: Share = "25%"


class StrategySpec(Spec):
    type: Literal["RollingUpdate", "Recreate"] = "RollingUpdate"
    rolling_update: RollingUpdateSpec | None = None


def lower_rollout(strategy: StrategySpec, replicas: int, min_ready_seconds: int) -> Rollout:
    """In numbers of pods, rounded as Kubernetes does: surge up, unavailable down, never both 0."""
    if strategy.type == "Recreate":
        return Rollout(recreate=True, min_ready_s=min_ready_seconds)
    rolling = strategy.rolling_update or RollingUpdateSpec()
    surge = math.ceil(_pods(rolling.max_surge, replicas))
    unavailable = min(math.floor(_pods(rolling.max_unavailable, replicas)), replicas)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Rollout(max_surge=surge, max_unavailable=unavailable, min_ready_s=min_ready_seconds)


def _pods(share: int | str, replicas: int) -> float:
    return share if isinstance(share, int) else replicas * int(share.removesuffix("%")) / 100


def share_of(share: int | str, replicas: int) -> int:
    """So many pods, rounded down."""
    return math.floor(_pods(share, replicas))


def strategy_problems(strategy: StrategySpec, document: Document) -> Iterator[Diagnostic]:
    """What types cannot say."""
    at = ("spec", "strategy", "rollingUpdate")
    rolling = strategy.rolling_update
    if rolling is None:
        return
    if strategy.type == "Recreate":
        yield problem(document, "MG2006", at, "has no meaning where the type is Recreate")
    elif {str(rolling.max_surge).strip("%"), str(rolling.max_unavailable).strip("%")} == {"0"}:
        yield problem(
            document,
            "MG2006",
            (*at, "maxUnavailable"),
            "must not be 0 where maxSurge is 0: no pod could ever be replaced",
        )
