"""Who a workload is: SPIFFE IDs, the certificate authority, and certificates renewed in time.

`spiffe` names workloads; `ca` issues (pure: the time is handed in) what `profile` lays
down for each kind of certificate; `storage` keeps the authority's files (the only I/O of
this room) and `checks` judges them; `rotation` renews before expiry; `secrets` makes the
trust bundle and judges a user's TLS Secret.

The app builds a `SvidManager` and hands its certificates to SDS. This room must never
speak to a network, know a proxy or an xDS type, or let a private key out of a `Secret`
other than into its own 0600 files.
"""
