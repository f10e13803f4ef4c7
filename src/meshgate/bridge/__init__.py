"""Answers Envoy's questions about requests that Envoy cannot decide by itself.

A process of its own (`python -m meshgate.bridge`), started only where a policy in use needs it.
Envoy asks it over gRPC on a Unix socket; what it must know comes in a file that the control
plane writes before any route names it. It must never read manifests, speak xDS, or let a
request pass that it does not understand. A check is a file: `check(request, known)` gives a
verdict and touches the world only by the tools that it was made with.
"""
