"""From the model to Envoy's resources, one by one; pure.

Each function reads through a `model.Reader`, so that the store knows on what a resource
depends. Nothing here does I/O, looks at a clock, or knows a dialect. `translator.py` is
the way in; names follow Istio's conventions (`names.py`).
"""
