"""What keeps a meshgate from starting is said at once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from meshgate.cli.errors import CliError
from meshgate.cli.up import start_detached
from meshgate.model.proxy import Isolation
from meshgate.runtime.paths import RuntimePaths
from meshgate.sources.up_options import UpOptions
from tests.e2e.harness import Meshgate
from tests.e2e.manifests import KONG_CLASS
from tests.redis_server import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]


def test_a_port_that_somebody_took_in_the_meantime(tmp_path: Path) -> None:
    """`up` looks at the ports before it starts anything; Envoy may still come too late."""
    manifests, state = tmp_path / "class.yaml", tmp_path / "state"
    manifests.write_text(KONG_CLASS)
    state.mkdir()
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        options = UpOptions(
            paths=(str(manifests),),
            state=state,
            isolation=Isolation.PORTS,
            http_port=port,
            https_port=free_port(),
            detach=True,
        )
        with pytest.raises(CliError, match=f"cannot bind '127.0.0.1:{port}': Address already in use"):
            start_detached(options)
    assert Meshgate(state=state, paths=(), isolation="ports").leftovers() == []
    assert not (RuntimePaths.of(state).records / "records.json").exists()
