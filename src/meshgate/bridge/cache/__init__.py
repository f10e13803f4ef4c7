"""Keeps answers of services and gives them again: Kong's `proxy-cache`, and RFC 9111.

Everything but `service.py` is without I/O: values in, values out, the time handed in. An
`Exchange` sees one request and its answer as Envoy shows them (`ext_proc`) and says what
becomes of them; the `Store` holds what was kept, in bounded memory. Whatever is in doubt is not
kept and not given: a cache that does nothing is never wrong.
"""
