from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from meshgate.runtime.process_id import ProcessId
from meshgate.runtime.records import NetworkRecord, PodRecord, ProcessRecord, Records, StateInUse
from meshgate.runtime.spec import ContainerSpec, HttpGet, Isolation, PodSpec, Probe, Sleep

POD = PodRecord(namespace="default", name="echo-1", spec_hash="1", isolation=Isolation.PORTS, ip="127.0.0.1")
PROCESS = ProcessRecord(token="t", pid=42, started="7", ready=True)


def reopened(directory: Path, records: Records) -> Records:
    records.close()
    return Records(directory)


def test_everything_comes_back_after_a_restart(tmp_path: Path) -> None:
    records = Records(tmp_path)
    network = NetworkRecord(bridge="mg1", subnet="10.0.16.0/20")
    records.set_network(network)
    records.set_daemon("dns", PROCESS)
    records.set_pod(POD)
    records.set_process(POD.key, "app", PROCESS)
    assert (tmp_path / "records.json").stat().st_mode & 0o777 == 0o600
    records = reopened(tmp_path, records)
    assert records.state.network == network
    assert records.state.daemons == {"dns": PROCESS}
    pod = records.pod(POD.key)
    assert pod is not None
    assert pod.processes == {"app": PROCESS}
    assert PROCESS.identity == ProcessId(42, "7")
    assert ProcessRecord(token="t").identity is None
    records.close()


def test_the_file_goes_when_it_says_nothing(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.set_pod(POD)
    records.remove_pod(POD.key)
    assert (tmp_path / "records.json").exists()
    records.close()
    assert not (tmp_path / "records.json").exists()


def test_processes_do_not_survive_a_reboot(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.set_pod(POD)
    records.set_process(POD.key, "app", PROCESS)
    records.close()
    path = tmp_path / "records.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "boot_id": "another"}))
    records = Records(tmp_path)
    pod = records.pod(POD.key)
    assert pod is not None
    assert pod.processes == {}
    records.close()


def test_an_unreadable_file_does_not_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "records.json").write_text('{"pods": 3')
    records = Records(tmp_path)
    assert records.state.pods == {}
    records.close()


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    records = Records(tmp_path)
    with pytest.raises(StateInUse, match="in use"):
        Records(tmp_path)
    reopened(tmp_path, records).close()


def test_how_a_pod_runs_is_kept_as_long_as_the_pod_is(tmp_path: Path) -> None:
    records = Records(tmp_path)
    spec = PodSpec(
        name=POD.name,
        namespace=POD.namespace,
        workload="echo",
        spec_hash=POD.spec_hash,
        containers=(
            ContainerSpec(
                name="app",
                argv=("a",),
                env={"KEY": "not-a-secret"},
                readiness=Probe(action=HttpGet(path="/", port=1)),
                pre_stop=Sleep(seconds=1),
            ),
        ),
        proxy_library=Path("/lib/a.so"),
    )
    records.set_spec(spec)
    records.set_pod(POD)
    another = replace(spec, name="never-recorded")
    records.set_spec(another)
    (tmp_path / "half.pod.tmp").touch()
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("*.pod.json")} == {0o600}
    records = reopened(tmp_path, records)
    assert (records.spec(POD.key), records.spec(another.key)) == (spec, None)
    assert [file.name for file in tmp_path.glob("*.pod.*")] == [f"{POD.key.digest}.pod.json"]
    records.remove_pod(POD.key)
    assert not list(tmp_path.glob("*.pod.*"))
    records.close()
