"""The demo's HTTP client against a server that runs here."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from meshgate.cli.demo_http import Answer, Ask, Load, ask_many, ask_once
from meshgate.cli.demo_shop import free_port
from meshgate.cli.demo_steps_traffic import plaintext

DEADLINE_S = 60.0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status = 401 if "no" in self.path else 200
        body = {"message": "Unauthorized"} if status == 401 else {"version": "v1"}
        content = json.dumps({**body, "host": self.headers["host"], "given": self.headers["x-a"]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Client", str(self.client_address[1]))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[int]:
    """A server's port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(DEADLINE_S)


def test_an_answer_tells_status_version_and_message() -> None:
    with serving() as port:
        good = ask_once(port, Ask(path="/", host="api.example.com").with_headers(x_a="b"))
        assert (good.status, good.version, good.said) == (200, "v1", "200")
        assert good.json == {"version": "v1", "host": "api.example.com", "given": "b"}
        refused = ask_once(port, Ask(path="/no"))
        assert (refused.status, refused.version, refused.said) == (401, "", "401 'Unauthorized'")


def test_nobody_there_is_an_answer_too() -> None:
    answer = ask_once(free_port(), Ask(path="/"))
    assert answer.status == 0
    assert "refused" in answer.said


def test_many_are_as_many_as_asked_for_over_kept_connections() -> None:
    with serving() as port:
        answers = ask_many(port, Ask(path="/"), 23, 4)
    assert Counter(a.status for a in answers) == {200: 23}
    assert len({a.headers["x-client"] for a in answers}) == 4


def test_a_load_goes_on_until_its_block_ends() -> None:
    enough = threading.Event()
    answers: list[Answer] = []

    def take(ask: Ask, answer: Answer) -> None:
        answers.append(answer)
        if len(answers) >= 20:
            enough.set()

    with serving() as port:
        with Load(port, lambda: Ask(path="/"), take, rate=500.0):
            assert enough.wait(DEADLINE_S)
        ended = len(answers)
        assert {a.status for a in answers} == {200}
    assert len(answers) == ended


def test_plaintext_that_is_answered_is_no_refusal() -> None:
    with serving() as port:
        said, refused = plaintext("127.0.0.1", port)
    assert (said, refused) == ("answered: HTTP/1.1 200 OK", False)


def test_a_connection_that_is_closed_is_a_refusal_but_none_at_all_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            connection.recv(1)
            connection.close()  # with bytes unread: a reset

        thread = threading.Thread(target=refuse)
        thread.start()
        said, refused = plaintext("127.0.0.1", server.getsockname()[1])
        thread.join(DEADLINE_S)
    assert refused, said
    said, refused = plaintext("127.0.0.1", free_port())
    assert said.startswith("no connection at all")
    assert not refused
