"""What the API's own schema says of lists and words: an API server refuses the rest, and so do we."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from meshgate.dialects.document import is_dns_name
from meshgate.dialects.schema import fault

_KIND = re.compile(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?")
_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+")


def _group(text: str) -> str:
    if text and not is_dns_name(text):
        raise fault("MG2004", "must be a group's name such as gateway.networking.k8s.io, or empty")
    return text


def _kind(text: str) -> str:
    if len(text) > 63 or _KIND.fullmatch(text) is None:
        raise fault("MG2004", "must be a kind's name such as Service")
    return text


def _unique(value: object) -> object:
    """The list as it is: no word of it, and no `name` of its objects, is there twice."""
    if isinstance(value, list | tuple):
        names = (item.get("name") if isinstance(item, Mapping) else item for item in value)
        if twice := repeated(name for name in names if isinstance(name, str)):
            raise fault("MG2006", f"has {twice!r} twice", "keep one of them")
    return value


def repeated(names: Iterable[str]) -> str:
    """The first name that is there more than once; empty for none."""
    return next((name for name, count in Counter(names).items() if count > 1), "")


def is_plain_path(text: str) -> bool:
    """Whether a path has only characters that stand for themselves, and escapes."""
    return _PATH.fullmatch(text) is not None


Group = Annotated[str, AfterValidator(_group)]
Kind = Annotated[str, AfterValidator(_kind)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
Unique = BeforeValidator(_unique)
"""Of a list that an API server keeps as a map by `name`, or as a set."""
