"""Life cycle hooks of a container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.kubernetes.probe import ExecSpec, HttpGetSpec, lower_http_get
from meshgate.dialects.schema import Spec, problem
from meshgate.model.workload import ExecProbe, Hook, Sleep


class SleepSpec(Spec):
    seconds: Annotated[int, Field(ge=0, le=2**31 - 1)]


class HandlerSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"tcpSocket": "has no effect, in Kubernetes neither"}

    exec: ExecSpec | None = None
    http_get: HttpGetSpec | None = None
    sleep: SleepSpec | None = None


class LifecycleSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"stopSignal": "has no effect: the signal is SIGTERM"}

    post_start: HandlerSpec | None = None
    pre_stop: HandlerSpec | None = None


def lower_hook(spec: HandlerSpec | None) -> Hook | None:
    """The model's hook; None where there is none."""
    if spec is None:
        return None
    if spec.http_get is not None:
        return lower_http_get(spec.http_get)
    if spec.exec is not None:
        return ExecProbe(argv=spec.exec.command)
    return Sleep(seconds=spec.sleep.seconds) if spec.sleep is not None else None


def lifecycle_problems(
    spec: LifecycleSpec, port_names: frozenset[str], document: Document, at: FieldPath
) -> Iterator[Diagnostic]:
    """What types cannot say: one action for each hook, a known port."""
    for name, handler in (("postStart", spec.post_start), ("preStop", spec.pre_stop)):
        if handler is None:
            continue
        path = (*at, name)
        if sum(a is not None for a in (handler.exec, handler.http_get, handler.sleep)) != 1:
            yield problem(document, "MG2006", path, "needs exactly one of exec, httpGet, sleep")
        if handler.exec is not None and not handler.exec.command:
            yield problem(document, "MG2003", (*path, "exec", "command"), "is required")
        port = handler.http_get.port if handler.http_get else None
        if isinstance(port, str) and port not in port_names:
            yield problem(
                document, "MG2006", (*path, "httpGet", "port"), f"no container port is named {port!r}"
            )
