"""Kong's kinds: KongPlugin, KongClusterPlugin, KongConsumer, and a file per supported plugin.

Fields and behaviour follow Kong 3.9.3 and its ingress controller 3.5. Each file checks one
object and lowers it to `model.declared`; none looks at other objects (`link` reads the
credentials). A plugin that is not understood stays in the model without a policy, so that
what refers to it is closed and not open.
"""

from __future__ import annotations

from meshgate.dialects.kind import KindParser
from meshgate.dialects.kong.ingress_class_parameters import INGRESS_CLASS_PARAMETERS
from meshgate.dialects.kong.kong_consumer import KONG_CONSUMER
from meshgate.dialects.kong.kong_consumer_group import KONG_CONSUMER_GROUP
from meshgate.dialects.kong.kong_ingress import KONG_INGRESS
from meshgate.dialects.kong.kong_plugin import KONG_CLUSTER_PLUGIN, KONG_PLUGIN
from meshgate.dialects.kong.kong_upstream_policy import KONG_UPSTREAM_POLICY
from meshgate.dialects.kong.not_supported import NOT_SUPPORTED
from meshgate.dialects.kong.stream_ingress import TCP_INGRESS, UDP_INGRESS

KINDS: tuple[KindParser, ...] = (
    KONG_PLUGIN,
    KONG_CLUSTER_PLUGIN,
    KONG_CONSUMER,
    KONG_CONSUMER_GROUP,
    KONG_UPSTREAM_POLICY,
    TCP_INGRESS,
    UDP_INGRESS,
    KONG_INGRESS,
    INGRESS_CLASS_PARAMETERS,
    *NOT_SUPPORTED,
)
