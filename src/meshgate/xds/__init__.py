"""Serves Envoy: what a proxy asked for, what it holds, and what it must be told next.

`session.py` is the delta ADS state machine of one stream, without I/O and without a clock;
`store.py` the lazy, dependency-tracked cache that all streams share; `server.py` the gRPC
server that joins the two. `app` calls `Server.publish` (configuration, debounced) and
`Server.publish_endpoints` (the short lane).

This room must never decide what a resource says: that is `translate`, which is handed in as a
`store.Translator`. It never logs a resource's bytes (secrets travel in them) or a token, and it
never imports `sources` or `registry`.
"""
