"""Kong's `acme`: certificates by ACME, RFC 8555 (schema of Kong 3.9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from meshgate.dialects.document import is_dns_name
from meshgate.dialects.kong.plugins.config import Config, Line, Report
from meshgate.dialects.schema import Items, SecretText, fault
from meshgate.model.policies.acme import Acme, AcmeAccount, KeyType

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


def _domain(text: str) -> str:
    name = text.lower().removeprefix("*.")
    if not is_dns_name(name):
        raise fault("MG2103", "must be a DNS name, or *. and a DNS name")
    return text.lower()


class AcmeConfig(Config):
    """Every field of the plugin."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "account_key": "the account's key is made and kept in the state directory",
        "storage": "certificates are kept in the state directory",
        "storage_config": "certificates are kept in the state directory",
        "enable_ipv4_common_name": "addresses get no certificates",
    }

    account_email: Annotated[Line, Field(min_length=3)]
    api_uri: Line = LETS_ENCRYPT
    tos_accepted: bool = False
    eab_kid: Line = ""
    eab_hmac_key: SecretText | None = None
    cert_type: Literal["rsa", "ecc"] = "rsa"
    rsa_key_size: Literal[2048, 3072, 4096] = 4096
    renew_threshold_days: Annotated[int, Field(ge=1, le=365)] = 14
    domains: Items[Annotated[str, AfterValidator(_domain)]] = ()
    allow_any_domain: bool = False
    fail_backoff_minutes: Annotated[int, Field(ge=1, le=100_000)] = 5
    preferred_chain: Line = ""


def lower_acme(config: AcmeConfig, report: Report) -> Acme:
    """The policy; an authority with terms must have them accepted."""
    address = urlsplit(config.api_uri)
    if address.scheme != "https" or not address.hostname:
        report.error("MG2103", ("api_uri",), "must be an https URL of an authority's directory")
    if (address.hostname or "").endswith(".letsencrypt.org") and not config.tos_accepted:
        message = "must be true: Let's Encrypt gives certificates to who accepts its terms only"
        report.error("MG2103", ("tos_accepted",), message)
    if "@" not in config.account_email:
        report.error("MG2103", ("account_email",), "must be an e-mail address")
    if bool(config.eab_kid) != (config.eab_hmac_key is not None):
        report.error("MG2103", ("eab_kid",), "must be there together with eab_hmac_key")
    if not config.domains and not config.allow_any_domain:
        report.warn("MG1103", ("domains",), "no host gets a certificate", "name the hosts")
    return Acme(
        account=AcmeAccount(
            api_uri=config.api_uri,
            email=config.account_email,
            tos_accepted=config.tos_accepted,
            eab_kid=config.eab_kid,
            eab_hmac_key=config.eab_hmac_key,
        ),
        domains=tuple(dict.fromkeys(config.domains)),
        any_domain=config.allow_any_domain,
        key_type=KeyType(config.cert_type),
        rsa_bits=config.rsa_key_size,
        renew_before_days=config.renew_threshold_days,
        backoff_minutes=config.fail_backoff_minutes,
        preferred_chain=config.preferred_chain,
        origin=report.origin(),
    )
