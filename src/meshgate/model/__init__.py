"""The one model of both directions, frozen: what every dialect is lowered to.

`declared.py` is what the dialects give (names not yet resolved), `link.py` makes a
`graph.Model` of it (names resolved), `reader.py` hands it to the translators and writes
down what each of them read. This room knows no dialect, no Envoy and does no I/O.
"""
