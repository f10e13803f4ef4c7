"""The same objects in any order, in any files, come to the same model, resources and verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshgate.dialects.document import Document
from meshgate.model.graph import Model
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import call, redact, stand_in
from meshgate.simulate.stand_in import gateway_proxy, sidecar_proxy
from meshgate.translate.self_contained import self_contained
from tests.golden import cases
from tests.simulate.shop import texts

DOCUMENTS = read_texts(texts())[0]
BUILT = build(DOCUMENTS)
FEW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ASKED = (
    ("GET", "api.example.com", "/api/v1/x", "gateway"),
    ("GET", "api.example.com", "/", "gateway"),
    ("POST", "any.example", "/api/users/1?a=b", "gateway"),
    ("GET", "payment", "/", "checkout"),
    ("GET", "backend-service:80", "/", "checkout"),
    ("GET", "redis:6379", "/", "checkout"),
)


def configuration(model: Model) -> list[bytes]:
    """Every proxy's whole configuration, serialised."""
    filled = redact(stand_in(model))
    proxies = [gateway_proxy(), *(p for key in sorted(model.workloads) if (p := sidecar_proxy(model, key)))]
    return [self_contained(Reader(filled), p).SerializeToString(deterministic=True) for p in proxies]


CONFIGURATION = configuration(BUILT.model)


@FEW
@given(st.permutations(DOCUMENTS))
def test_the_order_of_documents_changes_nothing(documents: Sequence[Document]) -> None:
    built = build(documents)
    assert built.model == BUILT.model
    assert built.diagnostics == BUILT.diagnostics
    assert configuration(built.model) == CONFIGURATION
    filled = stand_in(built.model)
    for method, host, path, proxy in ASKED:
        asked = {"x-canary": "true"}
        expected = call(stand_in(BUILT.model), method, host, path, asked, proxy=proxy)
        assert call(filled, method, host, path, asked, proxy=proxy) == expected


@FEW
@given(st.data())
def test_neither_does_the_order_within_a_golden_case(data: st.DataObject) -> None:
    """Cases with broken, colliding and doubled objects too; places differ, so only the model counts."""
    name = data.draw(st.sampled_from(cases.names()))
    case = cases.read(name)
    documents = data.draw(st.permutations(read_texts({"in.yaml": cases.text_of(name)})[0]))
    built = build(documents, allow_lua=case.allow_lua)
    assert built.model == case.model
    assert set(built.diagnostics) <= set(case.diagnostics)


@FEW
@given(
    method=st.sampled_from(["GET", "POST", "OPTIONS"]),
    host=st.sampled_from(["api.example.com", "API.EXAMPLE.COM", "x.y:80", "*.example.com", ""])
    | st.text(max_size=20),
    path=st.text(max_size=40).map(lambda text: f"/{text}"),
    headers=st.dictionaries(st.sampled_from(["x-canary", "Cookie", "authorization"]), st.text(max_size=30)),
    proxy=st.sampled_from(["gateway", "checkout"]),
)
def test_any_request_gets_a_verdict_and_the_same_one_twice(
    method: str, host: str, path: str, headers: dict[str, str], proxy: str
) -> None:
    filled = stand_in(BUILT.model)
    first = call(filled, method, host, path, headers, proxy=proxy)
    assert call(filled, method, host, path, reversed(list(headers.items())), proxy=proxy) == first
    assert first.status in (0, 307, 400, 401, 404, 503)
    assert sum(d.percent for d in first.destinations) in (0, 100)
