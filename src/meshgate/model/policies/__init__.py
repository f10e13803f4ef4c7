"""The policies of edge traffic that are plain data, by what they are for.

`meshgate.model.policy` gathers all of them; nothing here knows Envoy or a dialect.
"""
