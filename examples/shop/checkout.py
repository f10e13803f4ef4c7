"""The shop's checkout: a service that calls the others by their plain names.

    python3 checkout.py VERSION PORT

    GET /                            one call to payment, and what came back
    GET /call/payment?times=100      that many calls, counted by version, status and caller

It asks for `http://payment/` and no more. That the call is encrypted, goes to v1 or v2 as
the manifests say, and carries checkout's identity is the mesh's doing.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections import Counter
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException

from service import Body, Request, Service, describe, serve

TARGETS = {
    "payment": "http://payment/",
    "user-service": "http://user-service:8080/",
    "backend-service": "http://backend-service/",
    "my-service": "http://my-service/",
}
PASSED_ON = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-canary",
)
"""What joins the calls of one request into one trace, and the header that chooses a canary."""
MAX_TIMES = 10_000
TIMEOUT_SECONDS = float(os.environ.get("PAYMENT_TIMEOUT_SECONDS", "5"))


def respond(service: Service, request: Request) -> tuple[int, Body]:
    """Call, and report; every other path answers like any service of the shop."""
    if request.path == "/":
        status, payment = call("payment", request.headers)
        _, me = describe(service, request)
        return (HTTPStatus.OK if status == HTTPStatus.OK else HTTPStatus.BAD_GATEWAY), {
            **me,
            "payment": {"status": status, **payment},
        }
    if request.path.startswith("/call/"):
        return call_many(request.path.removeprefix("/call/").strip("/"), request)
    return describe(service, request)


def call_many(target: str, request: Request) -> tuple[int, Body]:
    """Call `target` as often as `times` says, one after the other, and count the answers."""
    times = request.query.get("times", ["1"])[0]
    if target not in TARGETS or not times.isdecimal() or not 1 <= int(times) <= MAX_TIMES:
        usage = f"/call/TARGET?times=N, TARGET one of {', '.join(TARGETS)}, N from 1 to {MAX_TIMES}"
        return HTTPStatus.BAD_REQUEST, {"error": usage}
    versions: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    callers: Counter[str] = Counter()
    for _ in range(int(times)):
        status, answer = call(target, request.headers)
        statuses[str(status)] += 1
        if status == HTTPStatus.OK:
            versions[str(answer.get("version"))] += 1
            callers[str(answer.get("caller"))] += 1
    return HTTPStatus.OK, {
        "target": target,
        "times": int(times),
        "versions": versions,
        "statuses": statuses,
        "seen_by_target_as": callers,
    }


def call(target: str, incoming: Message) -> tuple[int, Body]:
    """One GET: its status and JSON body, or status 0 and the error where no answer came.

    urllib follows `http_proxy`, as most HTTP clients do.
    """
    headers = {name: value for name in PASSED_ON if (value := incoming.get(name)) is not None}
    request = urllib.request.Request(TARGETS[target], headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {"error": error.read().decode(errors="replace")}
    except (OSError, HTTPException, ValueError) as error:
        return 0, {"error": str(error)}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} VERSION PORT")
    serve("checkout", sys.argv[1], int(sys.argv[2]), respond)
