"""docs/gateway-api-conformance.md: the behaviours of the conformance suite, and the test of ours for each.

The names of behaviours, and which features each needs, are those of the Gateway API's suite of
August 2026. One is core of a profile where the profile's core features are enough for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

TESTS = "tests/e2e/gateway_api"
_TABLE = Path(__file__).with_name("conformance.txt")
"""`behaviour | features that it needs | our test, or why there is none`."""

_GATEWAY = frozenset(
    (
        "GatewayPort8080",
        "GatewayStaticAddresses",
        "GatewayHTTPListenerIsolation",
        "GatewayAddressEmpty",
        "ListenerSet",
        "GatewayHTTPSListenerDetectMisdirectedRequests",
        "GatewayInfrastructurePropagation",
        "GatewayBackendClientCertificate",
        "GatewayFrontendClientCertificateValidation",
        "GatewayFrontendClientCertificateValidationInsecureFallback",
    )
)
_BACKEND_TLS = frozenset(("BackendTLSPolicy", "BackendTLSPolicySANValidation"))
_MESH = frozenset(
    (
        "MeshClusterIPMatching",
        "MeshConsumerRoute",
        "MeshHTTPRouteRewritePath",
        "MeshHTTPRouteSchemeRedirect",
        "MeshHTTPRouteRedirectPort",
        "MeshHTTPRouteRedirectPath",
        "MeshHTTPRouteBackendRequestHeaderModification",
        "MeshHTTPRouteQueryParamMatching",
        "MeshHTTPRouteNamedRouteRule",
    )
)
_TLS_MODES = frozenset(("TLSRouteModeTerminate", "TLSRouteModeMixed"))


def _core(kind: str) -> frozenset[str]:
    return frozenset(("Gateway", "ReferenceGrant", kind))


_PROFILES: Mapping[str, tuple[frozenset[str], frozenset[str]]] = MappingProxyType(
    {
        "GATEWAY-HTTP": (_core("HTTPRoute"), _GATEWAY | _BACKEND_TLS),
        "GATEWAY-GRPC": (_core("GRPCRoute"), _GATEWAY | _BACKEND_TLS),
        "GATEWAY-TLS": (_core("TLSRoute"), _GATEWAY | _BACKEND_TLS | _TLS_MODES),
        "GATEWAY-TCP": (_core("TCPRoute"), _GATEWAY),
        "GATEWAY-UDP": (_core("UDPRoute"), _GATEWAY),
        "MESH-HTTP": (frozenset(("Mesh", "HTTPRoute")), _MESH),
        "MESH-GRPC": (frozenset(("Mesh", "GRPCRoute")), _MESH),
    }
)
"""Profile -> its core features and its extended ones; of GATEWAY-HTTP all HTTPRoute's are, too."""


def behaviours() -> Mapping[str, tuple[frozenset[str], str]]:
    """Behaviour -> (the features that it needs, our test or a word why there is none)."""
    found = {}
    for line in _TABLE.read_text(encoding="utf-8").splitlines():
        name, features, test = (part.strip() for part in line.split("|"))
        found[name] = (frozenset(features.split()), test)
    return MappingProxyType(found)


def places(features: frozenset[str]) -> tuple[str, ...]:
    """`PROFILE core` or `PROFILE extended` for each profile that the behaviour is of."""
    found = []
    for profile, (core, extended) in _PROFILES.items():
        more = {f for f in features if f.startswith("HTTPRoute")} if profile == "GATEWAY-HTTP" else set()
        if features <= core:
            found.append(f"{profile} core")
        elif features <= core | extended | more:
            found.append(f"{profile} extended")
    return tuple(found)


def counts() -> Mapping[str, int]:
    """`PROFILE core` -> how many of its behaviours have a test of ours."""
    found: dict[str, int] = {}
    for features, test in behaviours().values():
        for place in places(features) if "::" in test else ():
            found[place] = found.get(place, 0) + 1
    return found


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Gateway API: behaviours and tests"
    yield ""
    yield "Made from `tests/docs/conformance.txt`. Each behaviour of the Gateway API's conformance suite (of"
    yield "August 2026), and the test that asks a running Meshgate about it. The tests are our own, written"
    yield f"from the specification, in `{TESTS}`; several behaviours share one. What is"
    yield "missing: [gateway-api.md](gateway-api.md#not-there-yet)."
    yield ""
    yield "`TLSRouteListenerTerminateNotSupported` and `TLSRouteListenerMixedTerminationNotSupported` say"
    yield "what an implementation without those features answers. The suite skips them for one that has both,"
    yield "as Meshgate does: our test asks for the opposite. The list is the suite on its main branch;"
    yield "v1.6.1 has nine less."
    yield ""
    yield "| profile | core | extended |"
    yield "|---|---|---|"
    have = counts()
    every: dict[str, int] = {}
    for features, _ in behaviours().values():
        for place in places(features):
            every[place] = every.get(place, 0) + 1
    for profile in _PROFILES:
        cells = (
            f"{have.get(f'{profile} {c}', 0)} of {every.get(f'{profile} {c}', 0)}"
            for c in ("core", "extended")
        )
        yield f"| {profile} | {' | '.join(cells)} |"
    for title, wanted in (*((p, p) for p in _PROFILES), ("Of several profiles at once", "")):
        yield ""
        yield f"## {title}"
        yield ""
        yield "| behaviour | | test |"
        yield "|---|---|---|"
        for name, (features, test) in sorted(behaviours().items()):
            found = places(features)
            own = [place.rpartition(" ")[2] for place in found if wanted and place.startswith(f"{wanted} ")]
            if own or (not wanted and not found):
                shown = f"`{test}`" if "::" in test else test
                yield f"| {name} | {own[0] if own else ''} | {shown} |"
