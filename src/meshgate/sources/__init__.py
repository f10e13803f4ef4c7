"""Where configuration comes from: watched files, the admin API, and what both left in the store.

`files` reads and watches manifests, `objects` keeps every object the way an API server
would, `admin` serves the command line over a Unix socket, `backend` says what it asks of
the rest of the control plane.

This room must never link, translate or speak to a proxy: it hands documents on, and `app`
gives it the verdict on an object and the state of what runs. Secrets are at rest in one
0600 file only, and never in a log.
"""
