"""How the checks of a route are joined: Kong's AND and OR."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from meshgate.bridge.deciding import Ask, Step, decide
from meshgate.bridge.request import Allow, Deny, Identity, Request, Verdict, failed, refused
from meshgate.model.consumer import Consumer

ANN = Identity(consumer=Consumer(id="1", username="ann"), credential="a")
BOB = Identity(consumer=Consumer(id="2", username="bob"), credential="b")
REQUEST = Request(method="GET", scheme="http", host="shop.example", path="/")


def saying(verdict: Verdict, asked: list[Identity | None] | None = None) -> Ask:
    async def ask(request: Request, known: Identity | None) -> Verdict:
        if asked is not None:
            asked.append(known)
        return verdict

    return ask


def decided(steps: Sequence[Step], known: Identity | None = None) -> Verdict:
    return asyncio.run(decide(steps, REQUEST, known))


def must(verdict: Verdict) -> Step:
    return Step(name="must", ask=saying(verdict))


def may(verdict: Verdict) -> Step:
    return Step(name="may", ask=saying(verdict), anonymous=True)


def test_without_anonymous_each_must_agree() -> None:
    no = refused("Unauthorized")
    assert decided([must(Allow(identity=ANN)), must(no)]) == no
    assert decided([must(no), must(Allow(identity=ANN))]) == no
    assert decided([must(Allow(identity=ANN)), must(Allow(identity=BOB))]) == Allow(identity=BOB)


def test_with_anonymous_one_is_enough() -> None:
    no = refused("Unauthorized")
    assert decided([may(no), may(Allow(identity=BOB))]) == Allow(identity=BOB)
    assert decided([may(Allow(identity=ANN)), may(Allow(identity=BOB))]) == Allow(identity=ANN)
    assert decided([may(no), may(no)]) == Allow()
    assert decided([may(no), must(no)]) == no


def test_who_is_known_is_not_asked_again_where_one_is_enough() -> None:
    asked: list[Identity | None] = []
    steps = [
        Step(name="may", ask=saying(refused("never"), asked), anonymous=True),
        Step(name="must", ask=saying(Allow(), asked)),
    ]
    assert decided(steps, ANN) == Allow()
    assert asked == [ANN]


def test_an_answer_that_is_no_refusal_of_strangers_is_given_all_the_same() -> None:
    page = Deny(status=302, headers=(("location", "/login"),))
    assert decided([may(page)]) == page
    assert decided([may(failed())]) == failed()


def test_a_check_that_breaks_refuses() -> None:
    async def broken(request: Request, known: Identity | None) -> Verdict:
        raise RuntimeError("no")

    assert decided([Step(name="broken", ask=broken, anonymous=True)]) == failed()


def test_what_checks_add_is_joined_and_finished() -> None:
    first = Allow(identity=ANN, set_headers=(("x-a", "1"),), remove_headers=("authorization",))
    second = Allow(client_headers=(("x-b", "2"),), remove_parameters=("key",))

    async def finish(request: Request, so_far: Allow, known: Identity | None) -> Allow:
        assert known == ANN
        return replace(so_far, client_headers=(*so_far.client_headers, ("set-cookie", "s")))

    steps = [Step(name="first", ask=saying(first), finish=finish), must(second)]
    assert decided(steps) == Allow(
        identity=ANN,
        set_headers=(("x-a", "1"),),
        remove_headers=("authorization",),
        remove_parameters=("key",),
        client_headers=(("x-b", "2"), ("set-cookie", "s")),
    )


def test_what_a_check_tells_the_service_is_never_the_clients_own() -> None:
    stranger = refused("Unauthorized")
    step = Step(name="may", ask=saying(stranger), anonymous=True, own_headers=("x-user",))
    for known in (None, ANN):
        assert decided([step], known) == Allow(remove_headers=("x-user",))
