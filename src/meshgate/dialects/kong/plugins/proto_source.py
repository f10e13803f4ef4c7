"""Where a plugin's `.proto` comes from: Kong's own field, or annotations of ours on the plugin's object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from meshgate.core.diagnostics import Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.annotation_list import MESHGATE
from meshgate.dialects.kong.plugins.config import Report
from meshgate.dialects.schema import did_you_mean, problem, show
from meshgate.model.policies.grpc import ProtoConfigMap, ProtoFile, ProtoReflection, ProtoSource, Transcoding

CONFIG_MAP = f"{MESHGATE}proto-configmap"
REFLECTION = f"{MESHGATE}grpc-reflection"
OPTIONS = f"{MESHGATE}grpc-json"

_CONFIG_MAP = re.compile(r"(?:([a-z0-9-]+)/)?([a-z0-9.-]+)(?::([-._a-zA-Z0-9]+))?")
_OPTIONS: Mapping[str, str] = {
    "every-method": "every_method",
    "without-defaults": "print_defaults",
    "enums-as-numbers": "enums_as_numbers",
    "json-names": "json_names",
    "newline-delimited": "newline_delimited",
    "server-sent-events": "server_sent_events",
    "refuse-unknown-query": "refuse_unknown_query",
}
"""As written -> the field of `Transcoding`, whose default it turns round."""


def transcoding(proto: str, report: Report) -> Transcoding | None:
    """The one source that is named, with its options; None where none is, or several are (MG2006)."""
    annotations = _annotations(report)
    options = _options(annotations.get(OPTIONS, ""), report)
    named: list[ProtoSource] = []
    if proto:
        folder = str(PurePosixPath(report.document.file).parent)
        named.append(ProtoFile(path=proto, folder=folder))
    if CONFIG_MAP in annotations:
        found = _config_map(annotations[CONFIG_MAP], report)
        named += [found] if found is not None else []
    match annotations.get(REFLECTION, "false"):
        case "true":
            named.append(ProtoReflection())
        case "false":
            pass
        case other:
            _wrong(report, REFLECTION, f'must be "true" or "false", got {show(other)}')
    if len(named) > 1:
        report.error(
            "MG2006",
            (),
            f"of config.proto, {CONFIG_MAP} and {REFLECTION} only one can say what the service speaks",
            "remove the others",
        )
        return None
    return Transcoding(source=named[0], **options) if named else None


def _annotations(report: Report) -> Mapping[str, str]:
    metadata = report.document.data.get("metadata")
    written = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if not isinstance(written, Mapping):
        return {}
    return {name: value for name, value in written.items() if isinstance(value, str)}


def _config_map(text: str, report: Report) -> ProtoConfigMap | None:
    found = _CONFIG_MAP.fullmatch(text)
    own = report.document.namespace
    if found is None:
        _wrong(report, CONFIG_MAP, f"must be a ConfigMap's NAME or NAME:KEY, got {show(text)}")
        return None
    namespace, name, key = found.group(1) or own, found.group(2), found.group(3) or ""
    if not namespace:
        _wrong(report, CONFIG_MAP, "on a KongClusterPlugin it must be NAMESPACE/NAME or NAMESPACE/NAME:KEY")
        return None
    if own and namespace != own:
        _wrong(report, CONFIG_MAP, f"the ConfigMap must be in namespace {own}, where the plugin is")
        return None
    return ProtoConfigMap(namespace=namespace, name=name, key=key)


def _options(text: str, report: Report) -> dict[str, bool]:
    given: dict[str, bool] = {}
    for word in (part.strip() for part in text.split(",")):
        if word in _OPTIONS:
            given[_OPTIONS[word]] = word != "without-defaults"
        elif word:
            said = did_you_mean(word, _OPTIONS) or f"known are {', '.join(_OPTIONS)}"
            _wrong(report, OPTIONS, f"{show(word)} is no option", said)
    if given.get("newline_delimited") and given.get("server_sent_events"):
        _wrong(report, OPTIONS, "a stream is newline-delimited or server-sent-events, not both")
    return given


def _wrong(report: Report, annotation: str, message: str, remedy: str = "") -> None:
    path: FieldPath = ("metadata", "annotations", annotation)
    said = problem(report.document, "MG2005", path, message, severity=Severity.ERROR, remedy=remedy)
    report.said.append(said)
