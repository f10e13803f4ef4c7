"""The diagnostic codes: stable numbers, each with the sentence that names the rule.

MG1xxx reading and shape, MG2xxx values of one object, MG3xxx links between objects,
MG4xxx what the local runtime meets, MG9xxx Meshgate itself. A number is never reused.
"""

from __future__ import annotations

from types import MappingProxyType

CODES = MappingProxyType(
    {
        "MG1001": "the YAML or JSON text cannot be parsed",
        "MG1002": "the document is too large, too deep or expands too far",
        "MG1003": "the document is not an object with apiVersion, kind and metadata.name",
        "MG1004": "a mapping has the same key twice",
        "MG1005": "the file cannot be read",
        "MG1101": "this kind is not supported",
        "MG1102": "unknown field",
        "MG1103": "the field is known but not supported; it has no effect",
        "MG1104": "a security field is not supported; what it protects stays closed",
        "MG1105": "the API version of this kind is not supported",
        "MG1106": "the object is defined more than once",
        "MG2001": "a value has the wrong type",
        "MG2002": "a value is outside its range or not one of the allowed ones",
        "MG2003": "a required field is missing",
        "MG2004": "a name or host is not well formed",
        "MG2005": "an annotation is unknown, unsupported or malformed",
        "MG2006": "fields contradict one another",
        "MG2007": "an old spelling of a field; the new one is in the remedy",
        "MG2101": "a KongPlugin does not name its plugin; it was inferred from its fields",
        "MG2102": "a KongPlugin's plugin is unknown, ambiguous or not supported",
        "MG2103": "a plugin's config value is not allowed",
        "MG2104": "an old spelling of a plugin field; the new one is in the remedy",
        "MG2105": "a credential Secret is malformed",
        "MG2201": "an Ingress path has no pathType; ImplementationSpecific is assumed",
        "MG3001": "the referenced service does not exist",
        "MG3002": "the referenced service has no such port",
        "MG3003": "the referenced subset is not defined; the route answers 503",
        "MG3004": "the referenced plugin does not exist or is broken; the route is closed",
        "MG3005": "the referenced Secret does not exist or has the wrong keys",
        "MG3006": "the referenced service account does not exist",
        "MG3007": "the selector matches no workload",
        "MG3008": "two rules collide; one of them has no effect",
        "MG3009": "the rule can never be reached",
        "MG3010": "the referenced consumer or credential is missing or used twice",
        "MG3011": "the referenced host is not a service of the mesh",
        "MG3012": "no IngressClass or controller of ours takes this Ingress",
        "MG3021": "the referenced Gateway does not exist, or no server of it is for the host",
        "MG3041": "a rule and the VirtualService that it delegates to do not fit together",
        "MG3051": "endpoints cannot be used by what they are for",
        "MG3101": "the pods of the namespace get no sidecar",
        "MG3102": "the namespace has two labels that decide about sidecars",
        "MG3103": "the port does not say what it speaks",
        "MG3104": "services disagree about a port of the workload that they select",
        "MG3105": "the rule or match is covered by an earlier one",
        "MG3106": "the destination has several ports and none is named",
        "MG3107": "tokens cannot be checked on a port that is not HTTP",
        "MG3108": "a certificate for several hosts is used by several Gateways",
        "MG3109": "an external name cannot be reached by connections without a host name",
        "MG3031": "the referenced extension provider does not exist or cannot do this",
        "MG4001": "the workload has no command that can run on this machine",
        "MG4002": "a probe of this kind cannot run here",
        "MG4003": "a port is already in use",
        "MG4004": "an environment value cannot be resolved",
        "MG4005": "a process that serves all pods does not run; it is started again and again",
        "MG9001": "Meshgate met a bug of its own while reading this; the object is left out",
    }
)
