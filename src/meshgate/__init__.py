"""Meshgate: an API gateway and a service mesh in one, with Envoy as the data plane.

Read `pipeline.py` first: it shows the way from a manifest to an xDS resource on one
screen. `docs/architecture.md` is the plan of the house.
"""

__version__ = "0.1.0"
