"""What the checks of expressions and log formats say, beside what Envoy itself says to each."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.bootstrap.v3 import bootstrap_pb2
from google.protobuf import json_format

from meshgate.dialects.istio.cel import check_cel
from meshgate.dialects.istio.log_format import format_problem
from meshgate.model.mesh_config import FileAccessLog, LogFormat
from meshgate.model.telemetry import AccessLog, Measure, Metric, Mode
from meshgate.runtime.envoy_process import envoy_path
from meshgate.translate.access_log import access_log
from meshgate.translate.http import connection_manager, http_chain
from meshgate.translate.metrics import http_metrics

pytestmark = pytest.mark.envoy

CONDITIONS = (
    "response.code >= 400 && request.method != 'GET'",
    "response.code in [404, 503] ? true : !connection.mtls",
    "string(response.code).startsWith('5')",
    "request.headers['x-a'].lowerAscii() == \"it's\"",
    "has(request.host) && size(request.path) > 3",
    "request.path.matches('^/v[0-9]+/')",
    "duration('250ms') < request.duration",
    "{'a': 1}['a'] == 1 && [1, 2][0] < 2u",
    "response.code >=",
    "response.code = 200",
    "(response.code == 200",
    "nope(request.path)",
    "request.path.nope()",
    "[1].exists(x, x == 1)",
    "has(request.headers['x'])",
    "request.path.matches('(')",
    "'open",
    "a.b.",
    "1 + ",
    "`x` == 1",
)
LABELS = (
    "request.host",
    "destination.port",
    "'fixed'",
    "re.extract(request.path, '^/([a-z]+)', '\\\\1')",
    "string(destination.port)",
    "request.path.lowerAscii()",
    "request.host ==",
)
FORMATS = (
    "%REQ(:METHOD)% 100%% %RESPONSE_CODE%",
    "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH):20% %START_TIME(%Y-%m-%d)%",
    "%CEL(request.host)% %METADATA(ROUTE:a:b)% %REQ_WITHOUT_QUERY(:PATH)%",
    "%FILTER_STATE(a:PLAIN)% %DYNAMIC_METADATA(a:b)%",
    "%PATH(NQ:ORIG)% %QUERY_PARAM(x)%",
    "%NOPE%",
    "100% sure",
    "%REQ%",
    "%ROUTE_NAME(x)%",
    "%RESPONSE_CODE",
)


def _accepts(log: accesslog_pb2.AccessLog, folder: Path) -> bool:
    manager = connection_manager("x", ())
    manager.access_log.append(log)
    manager.route_config.name = "empty"
    config = bootstrap_pb2.Bootstrap()
    listener = config.static_resources.listeners.add(name="l")
    listener.address.socket_address.address, listener.address.socket_address.port_value = "127.0.0.1", 0
    listener.filter_chains.add(filters=[http_chain(manager)])
    path = folder / "bootstrap.json"
    path.write_text(json_format.MessageToJson(config))
    argv = (str(envoy_path()), "--mode", "validate", "-c", str(path), "--log-level", "off")
    return subprocess.run(argv, check=False, capture_output=True, timeout=30).returncode == 0


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_condition_is_taken_as_envoy_takes_it(text: str, tmp_path: Path) -> None:
    log = access_log(AccessLog(provider=FileAccessLog(path="/dev/null"), condition=text), tcp=False)
    assert (check_cel(text, strings=True).problem == "") is _accepts(log, tmp_path)


@pytest.mark.parametrize("text", LABELS)
def test_a_label_is_taken_as_envoy_takes_it(text: str, tmp_path: Path) -> None:
    measure = Measure(metric=Metric.REQUEST_COUNT, added=(("label", text),))
    (log,) = http_metrics((measure,), Mode.CLIENT, trusted=False)
    assert (check_cel(text, strings=False).problem == "") is _accepts(log, tmp_path)


@pytest.mark.parametrize("text", FORMATS)
def test_a_format_is_taken_as_envoy_takes_it(text: str, tmp_path: Path) -> None:
    provider = FileAccessLog(path="/dev/null", format=LogFormat(text=text))
    log = access_log(AccessLog(provider=provider), tcp=False)
    assert (format_problem(text) == "") is _accepts(log, tmp_path)
