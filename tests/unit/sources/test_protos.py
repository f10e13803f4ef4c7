"""Descriptions of gRPC services that Envoy would not take are found before it gets to see them."""

from __future__ import annotations

import pytest
from google.protobuf import descriptor_pb2

from meshgate.model.policies.grpc import ProtoFile, Transcoding
from meshgate.sources.protos import NoDescriptor, checked, compile_file, compile_texts
from tests.envoy.shop_grpc import PROTOS

HOW = Transcoding(source=ProtoFile(path="a.proto", folder=""))
TEXT = """syntax = "proto3";
package a;
import "google/api/annotations.proto";
message M { string id = 1; M inner = 2; }
service S { rpc Get(M) returns (M) { option (google.api.http) = {RULE}; } }
"""


def _why(rule: str, text: str = TEXT) -> str:
    with pytest.raises(NoDescriptor) as failed:
        checked(compile_texts({"a.proto": text.replace("RULE", rule)}, "a.proto").content, HOW)
    return str(failed.value)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ('get: "/x/{nope}"', "a.S.Get: the path '/x/{nope}' names 'nope', which a.M has not"),
        (
            'get: "/x/{inner.nope}"',
            "a.S.Get: the path '/x/{inner.nope}' names 'inner.nope', which a.M has not",
        ),
        (
            'get: "/x" additional_bindings {post: "/y" body: "nope"}',
            "a.S.Get: body names 'nope', which a.M has not",
        ),
        ('get: "/x" response_body: "nope"', "a.S.Get: response_body names 'nope', which a.M has not"),
        ('get: "x"', "a.S.Get: the path 'x' must begin with a slash"),
    ],
)
def test_rules_that_fit_no_message(rule: str, why: str) -> None:
    assert _why(rule) == why


@pytest.mark.envoy
def test_what_only_envoy_knows() -> None:
    assert _why('get: "/x/{id"').startswith("Envoy does not take it: ")


def test_nothing_to_call() -> None:
    assert _why("", 'syntax = "proto3";\nmessage M {}\n') == "there is no service in it"


def test_sets_that_are_no_whole_sets() -> None:
    with pytest.raises(NoDescriptor, match="it is no descriptor set"):
        checked(b"no set", HOW)
    whole = descriptor_pb2.FileDescriptorSet.FromString(compile_file("shop.proto", str(PROTOS)).content)
    some = descriptor_pb2.FileDescriptorSet(file=[one for one in whole.file if "item" not in one.name])
    with pytest.raises(NoDescriptor, match=r"it lacks common/item\.proto"):
        checked(some.SerializeToString(), HOW)


@pytest.mark.envoy
def test_files_come_in_any_order() -> None:
    whole = descriptor_pb2.FileDescriptorSet.FromString(compile_file("shop.proto", str(PROTOS)).content)
    turned = descriptor_pb2.FileDescriptorSet(file=reversed(whole.file))
    assert checked(turned.SerializeToString(), HOW).content == checked(whole.SerializeToString(), HOW).content
