"""Kong's `openid-connect`: an identity provider says who asks.

`check.py` is the order in which credentials are looked for; what is said to the provider is in
`provider.py` and `endpoints.py`, what tokens must be in `tokens.py`, logins in `code_flow.py`, and what is
kept in cookies in `session.py`. Only `http.py` reaches other servers.
"""
