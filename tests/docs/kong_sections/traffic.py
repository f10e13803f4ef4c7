"""Plugins that limit, keep, end or lead elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.docs.kong_sections.section import Section

SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        "proxy-cache": Section(
            test="envoy/test_kong_proxy_cache.py",
            config="{strategy: memory, cache_control: true}",
            text=(
                "Answers of the service are kept in memory and given again; with `cache_control` by "
                "RFC 9111. [caching.md](caching.md) tells what is kept, whose answer it is, how to purge, "
                "and what differs from Kong: answers with `Set-Cookie` are not kept, `Vary` is kept apart, "
                "stale answers are revalidated. While the process is away that keeps them, requests pass."
            ),
            notes={"memory.dictionary_name": "keeps apart what has other names"},
        ),
        "rate-limiting": Section(
            test="envoy/test_ratelimit_service.py",
            config="{minute: 100, policy: local}",
            text="See [rate-limiting.md](rate-limiting.md).",
            notes={"policy": "works, `quota` too; cluster is closed", "sync_rate": "warned, no effect"},
        ),
        "redirect": Section(
            test="envoy/test_kong_small_plugins.py",
            config="{status_code: 308, location: 'https://new.example', keep_incoming_path: true}",
            text="After authentication and limits, as in Kong.",
        ),
        "request-size-limiting": Section(
            test="envoy/test_kong_small_plugins.py",
            config="{allowed_payload_size: 8, size_unit: kilobytes}",
            text=(
                "413 `Request size limit exceeded`. A body without Content-Length is held back until it "
                "is whole or too long. With `require_content_length` chunked bodies get 411 too, which "
                "Kong lets pass; Kong's 417 for `Expect: 100-continue` is a 413. Where "
                "`response-transformer` changes JSON on the same route, answers to requests without "
                "Content-Length may be at most as long as the limit (else 500)."
            ),
        ),
        "request-termination": Section(
            test="envoy/test_kong_request_termination.py",
            config="{status_code: 503, message: back at noon}",
            text=(
                "The gateway answers, after authentication and limits. With `echo` the answer shows the "
                "request and the name of its route; what Kong tells of its own process is left out."
            ),
        ),
        "response-ratelimiting": Section(
            test="envoy/test_kong_response_ratelimiting.py",
            config="{limits: {video: {minute: 10, day: 100}, sms: {day: 5}}}",
            text=(
                "The service says what a request has cost: `X-Kong-Limit: video=2, sms=1`, which the client "
                "does not see. It is told before what is left (`X-RateLimit-Remaining-video`), the client "
                "after (`X-RateLimit-Limit-video-minute`, `X-RateLimit-Remaining-video-minute`). Who has "
                "used up a limit gets 429 without a body in place of an answer that costs more of it, or at "
                "once with `block_on_first_violation`: `API rate limit exceeded for 'video'`. The answer "
                "that goes beyond a limit still passes, as in Kong. `policy: local` counts in the memory of "
                "the rate limit service, for all gateways. Envoy shows that service the headers of such "
                "routes' requests and answers, which costs two questions a request."
            ),
            notes={"policy": "works, but for cluster (closed)"},
        ),
    }
)
