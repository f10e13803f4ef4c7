"""Kong's `bot-detection` with Envoy's `rbac`, on User-Agent.

Envoy joins several User-Agent headers into one, so they are judged together; Kong answers 400.
"""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import BotDetection
from meshgate.policies.denial import both, denial_filter, either, having, neither, refusals, strikes
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import error_reply

FILTER = "meshgate.bot_detection"
REASON = "bot-detection"

BOTS = (
    # What calls itself one, with a version: `Googlebot/2.1`, `my crawler 1`, `x-spider/3`.
    r"(?i:bot|spider|crawler|crawl|scraper|archiver|indexer)[ /]v?\d",
    # Crawlers and link previews by name, with a version or without.
    r"(?:Googlebot|bingbot|BingPreview|AdsBot-Google|Mediapartners-Google|Slurp|YandexBot|Baiduspider|"
    r"DuckDuckBot|Applebot|AhrefsBot|SemrushBot|MJ12bot|DotBot|PetalBot|Bytespider|GPTBot|CCBot|ia_archiver|"
    r"Twitterbot|LinkedInBot|Slackbot|Slack-ImgProxy|WhatsApp|TelegramBot|Discordbot|facebookexternalhit|"
    r"Pingdom\.com_bot|PTST|Nutch|Scrapy|HTTrack|masscan|WhatWeb|Xenu)",
    # Programs' HTTP libraries.
    r"(?:Go-http-client|Python-urllib|Apache-HttpClient|Google-HTTP-Java-Client|okhttp|axios|reqwest|"
    r"aihttp|scalaj-http|unirest-\w+|WinHTTP|JNLP|TLSProber|HttpMonitor)",
    # Clients of object stores.
    r"\b(?:Boto3?|JetS3t|s3fs|aws-(?:cli|sdk-[a-z0-9-]+))/\d",
)
"""In the spirit of the list that Kong brings; what neither names is let in."""


def listener_filters(policies: tuple[BotDetection, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin."""
    return (denial_filter(FILTER),) if policies else ()


def route_parts(policy: BotDetection) -> RouteParts:
    """Refuses whom `deny` or the list matches, unless `allow` does."""
    refused = either(*map(having, refused_agents(policy)))
    if policy.allow:
        allowed = either(*map(having, welcome_agents(policy)))
        refused = both(neither(allowed), refused)
    return RouteParts(filters={FILTER: refusals({REASON: strikes(refused)})})


def replies(policies: tuple[BotDetection, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answer."""
    return (error_reply(REASON, 403, "Forbidden"),) if policies else ()


def refused_agents(policy: BotDetection) -> tuple[route_pb.HeaderMatcher, ...]:
    """Who is refused, unless they are welcome."""
    return tuple(_agent(pattern) for pattern in (*policy.deny, *BOTS))


def welcome_agents(policy: BotDetection) -> tuple[route_pb.HeaderMatcher, ...]:
    """Who is let in though the list names them."""
    return tuple(_agent(pattern) for pattern in policy.allow)


def _agent(pattern: str) -> route_pb.HeaderMatcher:
    matcher = route_pb.HeaderMatcher(name="user-agent")
    matcher.string_match.safe_regex.regex = f"(?s:.*)(?:{pattern})(?s:.*)"
    return matcher
