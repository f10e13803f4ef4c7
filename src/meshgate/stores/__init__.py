"""Ways to databases that several side rooms use: a client each, no meaning of what is stored.

It must not know what a key stands for. Called by `ratelimit` and `bridge`, each in its own process.
"""
