"""What `meshgate up` was asked for, as it passes from the command line to the control plane."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from meshgate.model.policies.cached import CACHE_LIMITS, CacheLimits
from meshgate.model.proxy import Isolation


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """The options of one run; `app` takes them as its only argument, in JSON."""

    paths: tuple[str, ...]
    """Files and folders of manifests, as the user wrote them."""
    state: Path
    """Absolute."""
    isolation: Isolation | None = None
    """None: netns where this machine and user can, else ports."""
    http_port: int = 8080
    https_port: int = 8443
    """0: no HTTPS listener."""
    http3: bool = False
    """HTTPS over QUIC too."""
    gateway_address: str = "127.0.0.1"
    locality: str = ""
    """Where the gateway is, `region/zone/sub-zone`; empty for nowhere."""
    svid_lifetime: timedelta = timedelta(hours=24)
    metrics_port: int = 0
    """Where Prometheus scrapes, on 127.0.0.1; 0: nowhere."""
    allow_lua: bool = False
    """Plugins may run Lua that stands in manifests."""
    stand_ins: bool = False
    """Containers without a command get a program that answers with what arrived."""
    cache_limits: CacheLimits = CACHE_LIMITS
    """Of `proxy-cache`."""
    detach: bool = False
    """Nobody looks at the standard output."""

    def to_json(self) -> str:
        """The text that `from_json` reads."""
        return json.dumps(
            {
                "paths": self.paths,
                "state": str(self.state),
                "isolation": self.isolation.value if self.isolation else "auto",
                "httpPort": self.http_port,
                "httpsPort": self.https_port,
                "http3": self.http3,
                "gatewayAddress": self.gateway_address,
                "locality": self.locality,
                "svidLifetimeSeconds": self.svid_lifetime.total_seconds(),
                "metricsPort": self.metrics_port,
                "allowLua": self.allow_lua,
                "standIns": self.stand_ins,
                "cacheMemoryBytes": self.cache_limits.memory_bytes,
                "cacheAnswerBytes": self.cache_limits.answer_bytes,
                "detach": self.detach,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> UpOptions:
        """The options in the text of `to_json`; raises `KeyError` or `ValueError` for any other."""
        data = json.loads(text)
        isolation = data["isolation"]
        return cls(
            paths=tuple(data["paths"]),
            state=Path(data["state"]),
            isolation=None if isolation == "auto" else Isolation(isolation),
            http_port=data["httpPort"],
            https_port=data["httpsPort"],
            http3=data["http3"],
            gateway_address=data["gatewayAddress"],
            locality=data["locality"],
            svid_lifetime=timedelta(seconds=data["svidLifetimeSeconds"]),
            metrics_port=data["metricsPort"],
            allow_lua=data["allowLua"],
            stand_ins=data["standIns"],
            cache_limits=CacheLimits(
                memory_bytes=data["cacheMemoryBytes"], answer_bytes=data["cacheAnswerBytes"]
            ),
            detach=data["detach"],
        )
