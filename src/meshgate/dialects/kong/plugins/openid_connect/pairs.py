"""Lists of names and lists of values that belong together."""

from __future__ import annotations

from meshgate.dialects.kong.plugins.config import Report
from meshgate.dialects.kong.plugins.openid_connect.config import OpenidConnectConfig
from meshgate.model.policies.openid import ClaimPath, SecretPairs


def named(config: OpenidConnectConfig, report: Report, what: str) -> SecretPairs:
    """`WHAT_names` with `WHAT_values`; MG2103 where they are not of one length."""
    names, values = getattr(config, f"{what}_names"), getattr(config, f"{what}_values")
    if len(names) != len(values):
        report.error("MG2103", (f"{what}_values",), f"must have {len(names)} values, one for each name")
    return tuple(zip(names, values, strict=False))


def claim_headers(
    config: OpenidConnectConfig, report: Report, side: str
) -> tuple[tuple[str, ClaimPath], ...]:
    """Headers and the claims in them; both spellings of the mapping count."""
    names, claims = getattr(config, f"{side}_headers_names"), getattr(config, f"{side}_headers_claims")
    if len(names) != len(claims):
        field = (f"{side}_headers_claims",)
        report.error("MG2103", field, f"must have {len(names)} claims, one for each name")
    flat = tuple((name, (claim,)) for name, claim in zip(names, claims, strict=False))
    return flat + tuple((one.header, one.path) for one in getattr(config, f"{side}_headers"))
