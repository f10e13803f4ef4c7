"""Kong's `pre-function` and `post-function`: people's own Lua (schema of Kong 3.9.3)."""

from __future__ import annotations

from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.dialects.schema import Items
from meshgate.model.policies.change import Phases
from meshgate.model.policy import PostFunction, PreFunction

PHASES = ("rewrite", "access", "header_filter", "body_filter", "log")
MAX_CHARACTERS = 100_000
"""Of one text; Envoy gets it with each route that has the plugin."""


class FunctionConfig(Config):
    """Every field of the plugins; each is a list of programs."""

    certificate: Items[str] = ()
    rewrite: Items[str] = ()
    access: Items[str] = ()
    header_filter: Items[str] = ()
    body_filter: Items[str] = ()
    log: Items[str] = ()


def lower_pre_function(config: FunctionConfig, report: Report) -> PreFunction:
    """The policy that runs before all others."""
    return PreFunction(phases=_phases(config, report), origin=report.origin())


def lower_post_function(config: FunctionConfig, report: Report) -> PostFunction:
    """The policy that runs behind all others."""
    return PostFunction(phases=_phases(config, report), origin=report.origin())


def _phases(config: FunctionConfig, report: Report) -> Phases:
    if config.certificate:
        report.error(
            "MG1104",
            ("certificate",),
            "nothing of a user's runs during the TLS handshake; the plugin stays closed",
            "do it in the phase access",
        )
    given = {phase: getattr(config, phase) for phase in PHASES}
    if not any(given.values()) and not config.certificate:
        report.error("MG2103", (), f"must have one of {', '.join(PHASES)}")
    for phase, texts in given.items():
        for i, text in enumerate(texts):
            if len(text) > MAX_CHARACTERS:
                report.error("MG2103", (phase, i), f"must have at most {MAX_CHARACTERS} characters")
            elif text.startswith("\x1b"):
                report.error("MG2103", (phase, i), "must be the text of a program, not bytecode")
    return Phases(**given)
