"""How the live demo looks: what was counted and seen, as a screen of tables or as one line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from meshgate.cli.demo_certificates import Certificate, life
from meshgate.cli.demo_steps import counted
from meshgate.cli.demo_traffic import LIMITED, WINDOW_S, Stats, Window
from meshgate.sources.backend import StatusReport

_BAR = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that one picture is made of."""

    url: str
    stats: Stats
    report: StatusReport | None
    """None while the control plane is away."""
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    """By service."""
    notes: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)


def line(shown: Shown) -> str:
    """The newest of it on one line."""
    window = shown.stats.window()
    shares = "  ".join(f"{service} {_shares(counts)}" for service, counts in window.versions.items())
    pods = "control plane away"
    if shown.report is not None:
        ready = sum(pod.ready for pod in shown.report.pods)
        pods = f"pods {ready}/{len(shown.report.pods)}"
    return (
        f"{shown.stats.sent:,} sent  {window.rate:.0f}/s  {_statuses(window.statuses)}"
        f"  p50 {window.latency_ms(50):.1f} p99 {window.latency_ms(99):.1f} ms  {shares}  {pods}"
    )


def screen(shown: Shown) -> RenderableType:
    """A picture for a terminal of 100 columns or more."""
    window = shown.stats.window()
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(
        Group(
            _versions(window), _limits(shown.stats), _callers(shown.stats), _certificates(shown.certificates)
        ),
        Group(_pods(shown.report), _notes(shown.notes)),
    )
    keys = "   ".join(f"[bold]{key}[/] {escape(said)}" for key, said in shown.keys.items())
    return Group(_head(shown, window), Text.from_markup(keys, style="dim"), grid)


def _head(shown: Shown, window: Window) -> RenderableType:
    failed = f"[bold red]{window.failed} failed[/]" if window.failed else "[green]0 failed[/]"
    isolation = f"  isolation {shown.report.isolation}" if shown.report else ""
    return Panel(
        f"[bold]{escape(shown.url)}[/]{isolation}   {window.rate:.0f} requests/s   {failed}"
        f"   p50 {window.latency_ms(50):.1f} ms   p99 {window.latency_ms(99):.1f} ms\n"
        f"{escape(_statuses(window.statuses))}   "
        f"[dim]in the last {WINDOW_S} s; {shown.stats.sent:,} sent in all[/]",
        title="meshgate demo: examples/shop",
    )


def _versions(window: Window) -> RenderableType:
    table = _table("Requests per version", "service", "version", "share", "")
    for service, counts in window.versions.items():
        total = sum(counts.values())
        for version, number in counts.items():
            ratio = number / total
            bar = Text("━" * max(round(ratio * _BAR), 1), style="cyan" if version == "v1" else "magenta")
            table.add_row(service, version, f"{100 * ratio:.0f}%", bar)
    return table


def _limits(stats: Stats) -> RenderableType:
    table = _table("Limits per minute", "route", "whose", "left", "passed", "429")
    for path, whose in LIMITED.items():
        limit = stats.limits[path]
        left = f"{limit.remaining}/{limit.per_minute}"
        table.add_row(path, whose, left, str(limit.passed), Text(str(limit.refused), style="yellow"))
    return table


def _callers(stats: Stats) -> RenderableType:
    table = _table("Mutual TLS: whom each service saw", "service", "caller's certificate", "")
    for (service, caller), number in sorted(dict(stats.callers).items()):
        table.add_row(service, caller.removeprefix("spiffe://cluster.local/"), f"{number:,}")
    return table


def _certificates(certificates: Mapping[str, Certificate]) -> RenderableType:
    table = _table("Certificates", "service", "valid for")
    for service, certificate in sorted(certificates.items()):
        table.add_row(service, life(certificate.left))
    return table


def _pods(report: StatusReport | None) -> RenderableType:
    if report is None:
        return Text("The control plane is away. Traffic does not need it.", style="bold yellow")
    table = _table("Pods", "pod", "ready", "restarts", "sidecar")
    synced = {proxy.id for proxy in report.proxies if proxy.synced}
    for pod in report.pods:
        ready = Text("yes", style="green") if pod.ready else Text(pod.phase, style="bold red")
        sidecar = "in step" if any(f"~{pod.name}." in proxy for proxy in synced) else "behind"
        restarts = Text(str(pod.restarts), style="yellow" if pod.restarts else "dim")
        table.add_row(pod.workload, ready, restarts, sidecar if pod.meshed else "-")
    restarted = f", started again: {report.restarts}" if report.restarts else ""
    return Group(table, Text(f"control plane: pid {report.pid}{restarted}", style="dim"))


def _notes(notes: tuple[str, ...]) -> RenderableType:
    return Panel(Text("\n".join(notes) or "nothing yet"), title="What happened", border_style="dim")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim")
    for name in columns:
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    return table


def _shares(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    return " ".join(f"{version} {100 * number / total:.0f}%" for version, number in counts.items())


def _statuses(counts: Mapping[int, int]) -> str:
    """`200 940, 401 2, 429 58`; what never was answered as `no answer`."""
    return counted({str(status) if status else "no answer": number for status, number in counts.items()})
