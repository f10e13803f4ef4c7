"""What runs in place of a container whose image's program is not here: `meshgate up --stand-ins`.

One process for each such container. It listens on the container's ports and answers whatever is asked
with what arrived, so that routes, limits and logins can be tried: HTTP/1.1, HTTP/2, WebSocket and gRPC on
one port, in TLS too, bytes for bytes where it is none of them. It pretends nothing else, and must never
read manifests, speak xDS, or import another room. `app` says what it is called with.
"""
