"""What several side rooms use to keep things and to be told things: Redis, and files of settings.

It must not know what a key or a setting stands for. Called by `ratelimit`, `bridge` and `acme`, and by
`app` for the files that those read.
"""
