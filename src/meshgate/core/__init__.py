"""The leaf that every room may import: positions, diagnostics, secrets, time, units.

It imports nothing of Meshgate and does no I/O.
"""
