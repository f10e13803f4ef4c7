"""Kong's `oauth2`: the gateway hands out tokens (RFC 6749) and takes them.

`check.py` tells requests for tokens from requests with one, `authorize.py` and `issue.py` answer the two
endpoints, and `store.py` keeps what was handed out, by hashes alone.
"""
