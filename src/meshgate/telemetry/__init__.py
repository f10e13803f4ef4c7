"""Metrics of the whole mesh in one text for Prometheus.

Envoy counts; nothing of this is in the path of a request. When somebody scrapes, the proxies
are asked, and what they counted gets Istio's labels. The room reads the model and knows no
pod: `app` says whom to ask and how. It must never change anything, nor keep state that a
restart would lose.
"""
