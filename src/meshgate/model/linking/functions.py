"""Whether people's own Lua may run: only where whoever starts meshgate allows it. Internal to `link`.

Whoever may write a KongPlugin may otherwise not run programs inside the gateway; so without
that permission the plugin is broken, and closes what names it.
"""

from __future__ import annotations

from dataclasses import replace

from meshgate.core.findings import Findings
from meshgate.model.declared import Declared, Plugin
from meshgate.model.policy import PostFunction, PreFunction

NOT_ALLOWED = "runs Lua of its own, which is not allowed here"


def without_functions(declared: Declared, findings: Findings) -> Declared:
    """The same with every plugin broken that runs Lua (MG3013)."""
    return replace(declared, plugins=tuple(_checked(plugin, findings) for plugin in declared.plugins))


def _checked(plugin: Plugin, findings: Findings) -> Plugin:
    if not isinstance(plugin.policy, PreFunction | PostFunction) or plugin.disabled:
        return plugin
    findings.error(
        "MG3013",
        plugin.origin,
        plugin.ref,
        f"plugin {plugin.plugin} {NOT_ALLOWED}; what refers to it is closed",
        "start meshgate with --allow-lua, or take it out of konghq.com/plugins",
        ("plugin",),
    )
    return replace(plugin, policy=None, problem=f"it {NOT_ALLOWED}")
