"""What `google.api.http` says of methods, compared with their messages; Envoy looks only when asked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

_VARIABLE = re.compile(r"\{([^{}=]+)(?:=[^{}]*)?\}")


def rule_problems(pool: DescriptorPool, services: tuple[str, ...]) -> tuple[str, ...]:
    """What is wrong, a sentence each; `pool` holds all that the services need."""
    found: list[str] = []
    for name in services:
        for method in pool.FindServiceByName(name).methods:
            for rule in _rules(method):
                found.extend(f"{method.full_name}: {said}" for said in _problems(method, rule))
    return tuple(found)


def call_by_name(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Adds `POST /package.Service/Method` to the rules of each method that has any.

    Envoy's `auto_mapping` does the same for those that have none (1.40).
    """
    for service in file.service:
        for method in service.method:
            options = descriptor_pb2.MethodOptions.FromString(method.options.SerializeToString())
            if options.HasExtension(annotations_pb2.http):
                path = f"/{file.package}.{service.name}/{method.name}".replace("/.", "/")
                rule = options.Extensions[annotations_pb2.http]
                if path not in (rule.post, *(one.post for one in rule.additional_bindings)):
                    rule.additional_bindings.add(post=path, body="*")
                    method.options.ParseFromString(options.SerializeToString())


def _rules(method: MethodDescriptor) -> Iterator[http_pb2.HttpRule]:
    # The pool's own options know no extensions: they are read again by a class that does.
    options = descriptor_pb2.MethodOptions.FromString(method.GetOptions().SerializeToString())
    if options.HasExtension(annotations_pb2.http):
        rule = options.Extensions[annotations_pb2.http]
        yield rule
        yield from rule.additional_bindings


def _problems(method: MethodDescriptor, rule: http_pb2.HttpRule) -> Iterator[str]:
    kind = rule.WhichOneof("pattern")
    template = "" if kind is None else rule.custom.path if kind == "custom" else getattr(rule, kind)
    if not template.startswith("/"):
        yield f"the path {template!r} must begin with a slash"
    for name in _VARIABLE.findall(template):
        if not _has(method.input_type, name.strip()):
            yield f"the path {template!r} names {name!r}, which {method.input_type.full_name} has not"
    if rule.body not in ("", "*") and rule.body not in method.input_type.fields_by_name:
        yield f"body names {rule.body!r}, which {method.input_type.full_name} has not"
    if rule.response_body and rule.response_body not in method.output_type.fields_by_name:
        yield f"response_body names {rule.response_body!r}, which {method.output_type.full_name} has not"


def _has(message: Descriptor, path: str) -> bool:
    """Whether a field path like `a.b` leads somewhere."""
    name, _, rest = path.partition(".")
    field = message.fields_by_name.get(name)
    if field is None or not rest:
        return field is not None
    return field.message_type is not None and _has(field.message_type, rest)
