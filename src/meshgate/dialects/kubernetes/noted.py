"""Kinds of a cluster that mean nothing, or not yet anything, where manifests run on one machine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_RBAC = "there is no API server here that asks who may do what"
_STORAGE = "nothing is mounted, programs see the machine's own files"
_ADMISSION = "nobody is asked before an object is taken"
_METRICS = "metrics are where `--metrics-port` says"
_BY_HAND = "run its command yourself, with `meshgate exec` where it needs a pod's place"
_DEPLOYMENT = "make it a Deployment"

NOTED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("rbac.authorization.k8s.io", "Role"): _RBAC,
        ("rbac.authorization.k8s.io", "RoleBinding"): _RBAC,
        ("rbac.authorization.k8s.io", "ClusterRole"): _RBAC,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _RBAC,
        ("apiextensions.k8s.io", "CustomResourceDefinition"): "a kind is known here, or it is not",
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _ADMISSION,
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _ADMISSION,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): _ADMISSION,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): _ADMISSION,
        ("apiregistration.k8s.io", "APIService"): "no API is extended here",
        ("autoscaling", "HorizontalPodAutoscaler"): "there are as many pods as `replicas` says",
        ("policy", "PodDisruptionBudget"): "a change keeps to the workload's own strategy",
        ("policy", "PodSecurityPolicy"): "programs run as the user who runs Meshgate",
        ("scheduling.k8s.io", "PriorityClass"): "there is one machine",
        ("node.k8s.io", "RuntimeClass"): "programs run as processes of this machine",
        ("storage.k8s.io", "StorageClass"): _STORAGE,
        ("storage.k8s.io", "CSIDriver"): _STORAGE,
        ("", "PersistentVolume"): _STORAGE,
        ("", "PersistentVolumeClaim"): _STORAGE,
        ("", "LimitRange"): "programs take what the machine has",
        ("", "ResourceQuota"): "programs take what the machine has",
        ("monitoring.coreos.com", "ServiceMonitor"): _METRICS,
        ("monitoring.coreos.com", "PodMonitor"): _METRICS,
        ("monitoring.coreos.com", "PrometheusRule"): _METRICS,
    }
)
"""(API group, kind) -> why it has no effect: a line of information for each object."""

NOT_RUN: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("batch", "Job"): _BY_HAND,
        ("batch", "CronJob"): _BY_HAND,
        ("", "Pod"): _DEPLOYMENT,
        ("", "ReplicationController"): _DEPLOYMENT,
        ("apps", "ReplicaSet"): _DEPLOYMENT,
    }
)
"""(API group, kind) of pods that are not run -> what to do: a warning for each object."""
