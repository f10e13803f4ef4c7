"""Kong's `bot-detection`: who calls itself a robot is refused (schema of Kong 3.9.3)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.dialects.re2 import regex_problem
from meshgate.dialects.schema import Items, fault
from meshgate.model.policy import BotDetection


def _regex(text: str) -> str:
    wrong = regex_problem(text)
    if wrong:
        raise fault("MG2103", wrong)
    return text


Regex = Annotated[str, AfterValidator(_regex)]
"""A regular expression that RE2 takes; Kong's own engine knows more."""


class BotDetectionConfig(Config):
    """Every field of the plugin."""

    allow: Items[Regex] = ()
    deny: Items[Regex] = ()


def lower_bot_detection(config: BotDetectionConfig, report: Report) -> BotDetection:
    """The policy."""
    return BotDetection(
        allow=tuple(dict.fromkeys(config.allow)),
        deny=tuple(dict.fromkeys(config.deny)),
        origin=report.origin(),
    )
