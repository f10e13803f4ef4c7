"""The fields of each supported kind, as its parser reads them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from meshgate.dialects.gateway_api import (
    backend_tls_policy,
    backend_traffic_policy,
    gateway_class,
    grpc_route,
    http_route,
    listener_set,
    reference_grant,
    tcp_route,
    tls_route,
    udp_route,
)
from meshgate.dialects.gateway_api import gateway as api_gateway
from meshgate.dialects.istio import (
    authorization_policy,
    destination_rule,
    envoy_filter,
    gateway,
    peer_authentication,
    proxy_config,
    request_authentication,
    service_entry,
    sidecar,
    telemetry,
    virtual_service,
    workload_entry,
    workload_group,
)
from meshgate.dialects.kong import (
    ingress_class_parameters,
    kong_consumer,
    kong_consumer_group,
    kong_ingress,
    kong_plugin,
    kong_upstream_policy,
    stream_ingress,
)
from meshgate.dialects.kubernetes import (
    config_map,
    daemon_set,
    deployment,
    endpoints,
    ingress,
    ingress_class,
    namespace,
    secret,
    service,
    service_account,
    stateful_set,
)
from meshgate.dialects.schema import Spec
from meshgate.model.gateway_api import GATEWAY_GROUP, XGATEWAY_GROUP

SPECS: Mapping[tuple[str, str], type[Spec]] = MappingProxyType(
    {
        ("", "Namespace"): namespace.NamespaceSpec,
        ("", "Service"): service.ServiceSpec,
        ("", "ServiceAccount"): service_account.ServiceAccountSpec,
        ("", "Secret"): secret.SecretSpec,
        ("", "ConfigMap"): config_map.ConfigMapSpec,
        ("", "Endpoints"): endpoints.EndpointsSpec,
        ("discovery.k8s.io", "EndpointSlice"): endpoints.EndpointSliceSpec,
        ("apps", "Deployment"): deployment.DeploymentSpec,
        ("apps", "StatefulSet"): stateful_set.StatefulSetSpec,
        ("apps", "DaemonSet"): daemon_set.DaemonSetSpec,
        ("networking.k8s.io", "Ingress"): ingress.IngressSpec,
        ("networking.k8s.io", "IngressClass"): ingress_class.IngressClassSpec,
        ("networking.istio.io", "VirtualService"): virtual_service.VirtualService,
        ("networking.istio.io", "DestinationRule"): destination_rule.DestinationRule,
        ("networking.istio.io", "Gateway"): gateway.Gateway,
        ("networking.istio.io", "ServiceEntry"): service_entry.ServiceEntry,
        ("networking.istio.io", "WorkloadEntry"): workload_entry.WorkloadEntry,
        ("networking.istio.io", "Sidecar"): sidecar.SidecarObject,
        ("networking.istio.io", "ProxyConfig"): proxy_config.ProxyConfigObjectSpec,
        ("networking.istio.io", "EnvoyFilter"): envoy_filter.EnvoyFilterObject,
        ("networking.istio.io", "WorkloadGroup"): workload_group.WorkloadGroup,
        ("security.istio.io", "PeerAuthentication"): peer_authentication.PeerAuthentication,
        ("security.istio.io", "AuthorizationPolicy"): authorization_policy.AuthorizationPolicyObject,
        ("security.istio.io", "RequestAuthentication"): request_authentication.RequestAuthenticationObject,
        ("telemetry.istio.io", "Telemetry"): telemetry.Telemetry,
        ("configuration.konghq.com", "KongPlugin"): kong_plugin.KongPlugin,
        ("configuration.konghq.com", "KongClusterPlugin"): kong_plugin.KongPlugin,
        ("configuration.konghq.com", "KongConsumer"): kong_consumer.KongConsumer,
        (GATEWAY_GROUP, "GatewayClass"): gateway_class.GatewayClass,
        (GATEWAY_GROUP, "Gateway"): api_gateway.Gateway,
        (GATEWAY_GROUP, "ListenerSet"): listener_set.ListenerSet,
        (XGATEWAY_GROUP, "XListenerSet"): listener_set.ListenerSet,
        (GATEWAY_GROUP, "HTTPRoute"): http_route.HttpRoute,
        (GATEWAY_GROUP, "GRPCRoute"): grpc_route.GrpcRoute,
        (GATEWAY_GROUP, "TLSRoute"): tls_route.TlsRoute,
        (GATEWAY_GROUP, "TCPRoute"): tcp_route.TcpRoute,
        (GATEWAY_GROUP, "UDPRoute"): udp_route.UdpRoute,
        (GATEWAY_GROUP, "ReferenceGrant"): reference_grant.ReferenceGrant,
        (GATEWAY_GROUP, "BackendTLSPolicy"): backend_tls_policy.BackendTlsPolicy,
        (XGATEWAY_GROUP, "XBackendTrafficPolicy"): backend_traffic_policy.BackendTrafficPolicy,
        ("configuration.konghq.com", "KongConsumerGroup"): kong_consumer_group.KongConsumerGroup,
        ("configuration.konghq.com", "KongUpstreamPolicy"): kong_upstream_policy.KongUpstreamPolicy,
        ("configuration.konghq.com", "KongIngress"): kong_ingress.KongIngress,
        ("configuration.konghq.com", "IngressClassParameters"): (
            ingress_class_parameters.IngressClassParameters
        ),
        ("configuration.konghq.com", "TCPIngress"): stream_ingress.TcpIngressSpec,
        ("configuration.konghq.com", "UDPIngress"): stream_ingress.UdpIngressSpec,
    }
)
"""(group, kind) -> its fields."""
