"""Hand-made declared objects with short names and a place each, for the tests of `link`."""

from __future__ import annotations

from collections.abc import Mapping

from meshgate.core.diagnostics import Diagnostic, ObjectRef
from meshgate.core.origin import Origin
from meshgate.core.secret import Secret
from meshgate.model.declared import (
    BackendRef,
    ConsumerObject,
    DestinationRules,
    EdgePath,
    EdgeRules,
    MeshRules,
    PeerPolicy,
    Plugin,
    PluginScope,
    SecretObject,
)
from meshgate.model.destination import Subset, TrafficPolicy
from meshgate.model.names import Name
from meshgate.model.policy import Policy
from meshgate.model.route import (
    Action,
    Destination,
    Forward,
    PathKind,
    PathMatch,
    RequestMatch,
    Rule,
    WeightedDestination,
)
from meshgate.model.service import AppProtocol, Service, ServicePort
from meshgate.model.workload import Container, ContainerPort, MtlsMode, Workload

KONG = "configuration.konghq.com"


def at(name: str, line: int = 1) -> Origin:
    return Origin(f"{name}.yaml", line, 1)


def service(
    name: str,
    *ports: int,
    namespace: str = "default",
    selector: Mapping[str, str] | None = None,
    plugins: tuple[str, ...] = (),
) -> Service:
    numbers = ports or (80,)
    return Service(
        name=Name(namespace, name),
        ports=tuple(
            ServicePort(
                number=n, name=f"http-{n}", target=8080, protocol=AppProtocol.HTTP, origin=at(f"svc-{name}")
            )
            for n in numbers
        ),
        selector={"app": name} if selector is None else selector,
        plugin_names=plugins,
        origin=at(f"svc-{name}"),
    )


def workload(
    name: str,
    *,
    namespace: str = "default",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    account: str = "default",
    ports: tuple[ContainerPort, ...] = (ContainerPort(number=8080, name="web"),),
) -> Workload:
    return Workload(
        name=Name(namespace, name),
        labels={"app": name} | dict(labels or {}),
        annotations=annotations or {},
        service_account=account,
        containers=(Container(name="main", argv=("serve",), ports=ports),),
        origin=at(f"deploy-{name}"),
    )


def versions(name: str, *wanted: str) -> tuple[Workload, ...]:
    """A workload for each version, as subsets want them."""
    return tuple(workload(f"{name}-{one}", labels={"app": name, "version": one}) for one in wanted)


def split(*shares: tuple[str, str, int], port: int = 0) -> Forward:
    """`split(("payment", "v1", 90), ...)`: (host, subset, weight) each."""
    return Forward(
        destinations=tuple(
            WeightedDestination(destination=Destination(host=host, port=port, subset=subset), weight=weight)
            for host, subset, weight in shares
        )
    )


def rule(name: str, action: Action, *matches: RequestMatch, line: int = 1) -> Rule:
    return Rule(name=name, matches=matches, action=action, origin=at(f"vs-{name}", line))


def virtual_service(
    name: str,
    *rules: Rule,
    hosts: tuple[str, ...] = (),
    namespace: str = "default",
    gateways: tuple[str, ...] = (),
    export_to: tuple[str, ...] = ("*",),
    created: str = "",
) -> MeshRules:
    return MeshRules(
        ref=ObjectRef("VirtualService", namespace, name, "networking.istio.io"),
        namespace=namespace,
        hosts=hosts or (name,),
        gateways=gateways,
        rules=rules,
        export_to=export_to,
        created=created,
        origin=at(f"vs-{name}"),
    )


def destination_rule(
    name: str,
    *subsets: str,
    host: str = "",
    namespace: str = "default",
    policy: TrafficPolicy | None = None,
    created: str = "",
) -> DestinationRules:
    return DestinationRules(
        ref=ObjectRef("DestinationRule", namespace, name, "networking.istio.io"),
        namespace=namespace,
        host=host or name,
        policy=policy or TrafficPolicy(),
        subsets=tuple(Subset(name=s, labels={"version": s}, origin=at(f"dr-{name}")) for s in subsets),
        created=created,
        origin=at(f"dr-{name}"),
    )


def prefix(value: str) -> PathMatch:
    return PathMatch(kind=PathKind.PREFIX, value=value)


def segments(value: str) -> PathMatch:
    return PathMatch(kind=PathKind.SEGMENTS, value=value)


def exact(value: str) -> PathMatch:
    return PathMatch(kind=PathKind.EXACT, value=value)


def regex(value: str) -> PathMatch:
    return PathMatch(kind=PathKind.REGEX, value=value)


def ingress(
    name: str,
    *paths: tuple[str, PathMatch, str, int],
    namespace: str = "default",
    plugins: tuple[str, ...] = (),
    class_name: str = "",
    strip: bool = False,
    preserve_host: bool = True,
    methods: tuple[str, ...] = (),
    closed: str = "",
    default: tuple[str, int] | None = None,
    created: str = "",
) -> EdgeRules:
    """Paths are (host, path, service, port)."""
    return EdgeRules(
        ref=ObjectRef("Ingress", namespace, name, "networking.k8s.io"),
        namespace=namespace,
        class_name=class_name,
        paths=tuple(
            EdgePath(
                host=host,
                path=path,
                backend=BackendRef(service=backend, port=port, origin=at(f"ing-{name}", 20 + i)),
                index=(0, i),
                origin=at(f"ing-{name}", 10 + i),
            )
            for i, (host, path, backend, port) in enumerate(paths)
        ),
        default_backend=BackendRef(service=default[0], port=default[1], origin=at(f"ing-{name}", 5))
        if default
        else None,
        plugin_names=plugins,
        strip_path=strip,
        preserve_host=preserve_host,
        methods=methods,
        closed=closed,
        created=created,
        origin=at(f"ing-{name}"),
    )


def plugin(
    name: str,
    policy: Policy | None,
    *,
    kind: str = "rate-limiting",
    namespace: str = "default",
    disabled: bool = False,
    is_global: bool = False,
    problem: str = "",
) -> Plugin:
    scope = PluginScope.NAMESPACED if namespace else PluginScope.CLUSTER
    return Plugin(
        ref=ObjectRef(scope.value, namespace, name, KONG),
        scope=scope,
        name=Name(namespace, name),
        plugin=kind,
        policy=policy,
        problem=problem,
        disabled=disabled,
        is_global=is_global,
        origin=at(f"plugin-{name}"),
    )


def consumer(
    name: str, *credentials: str, plugins: tuple[str, ...] = (), username: str = ""
) -> ConsumerObject:
    return ConsumerObject(
        ref=ObjectRef("KongConsumer", "default", name, KONG),
        name=Name("default", name),
        username=username or name,
        custom_id="",
        credentials=credentials,
        plugin_names=plugins,
        origin=at(f"consumer-{name}"),
    )


def secret(
    name: str, *, type_: str = "Opaque", labels: Mapping[str, str] | None = None, **data: str
) -> SecretObject:
    """Underscores in the names of `data` stand for dots."""
    return SecretObject(
        name=Name("default", name),
        type=type_,
        labels=labels or {},
        data={key.replace("_", "."): Secret.of(value) for key, value in data.items()},
        origin=at(f"secret-{name}"),
    )


def api_key(name: str, value: str) -> SecretObject:
    return secret(name, labels={"konghq.com/credential": "key-auth"}, key=value)


def peer(
    name: str,
    mode: MtlsMode | None,
    *,
    namespace: str = "default",
    selector: Mapping[str, str] | None = None,
    ports: Mapping[int, MtlsMode | None] | None = None,
    created: str = "",
) -> PeerPolicy:
    return PeerPolicy(
        ref=ObjectRef("PeerAuthentication", namespace, name, "security.istio.io"),
        namespace=namespace,
        selector=selector or {},
        mode=mode,
        ports=ports or {},
        created=created,
        origin=at(f"peer-{name}"),
    )


def codes(diagnostics: tuple[Diagnostic, ...]) -> list[str]:
    return sorted(d.code for d in diagnostics)


def one(diagnostics: tuple[Diagnostic, ...], code: str) -> Diagnostic:
    """The only diagnostic with that code."""
    (found,) = [d for d in diagnostics if d.code == code]
    return found
