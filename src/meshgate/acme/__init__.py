"""Certificates for the edge's hosts from an authority that speaks ACME (RFC 8555), by HTTP-01.

`CertificateKeeper` is told which hosts want one; it asks, keeps what it gets in the state
directory, and renews it in time. It must never speak xDS or decide which hosts there are: what it has,
and what the authority wants to see at a host, is handed to whoever made it. `app` does that.
"""
