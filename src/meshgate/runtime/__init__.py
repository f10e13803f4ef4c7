"""The local runtime: runs pods as processes, each with its sidecar Envoy.

It takes frozen `PodSpec`s, places each pod in a network namespace of its own or on
allocated ports, keeps its processes alive, and reports frozen `PodStatus`es. It must
never know an input dialect, never decide what an Envoy does (bootstraps are handed in
as bytes), and never end a process that it did not record. Only `app` calls it.

`spec.py` holds what goes in and out, `runtime.py` the reconciler, `supervisor.py` the
life of one pod. Whatever is created is written to `<state>/run/records.json` before it
exists, so that the next start can adopt or remove it after a crash.
"""
