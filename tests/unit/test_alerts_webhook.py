"""The webhook against a loopback server that takes, fails, hangs, sends elsewhere: nothing waits for it, nothing is lost in silence."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from program import free_port, until

from stockwatch.alerts import Alert, AlertJudge, Webhook
from stockwatch.component import Backoff
from stockwatch.errors import UsageError
from stockwatch.settings import load
from stockwatch.settings.sections import Alerts

ALERT = Alert("yahoo", "AAPL", 1_764_000_240_000, "move 1% in 5 min", 100.0, 101.3, 1.3, 1_764_000_000_000)


class Receiver:
    """Answers each POST with the next of `answers` (200 after the last): a status, or what to do with the handler."""

    def __init__(self) -> None:
        self.answers: list[int | Callable[[BaseHTTPRequestHandler], None]] = []
        self.got: queue.Queue[tuple[str, dict[str, str], bytes]] = queue.Queue()
        self.release = threading.Event()  # lets what hangs go
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.put((self.path, dict(self.headers.items()), body))
                answer = receiver.answers.pop(0) if receiver.answers else 200
                if callable(answer):
                    answer(self)
                    return
                self.send_response(answer)
                if answer == 302:
                    self.send_header("Location", "http://127.0.0.1:9/")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?to=class"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def next(self) -> tuple[str, dict[str, str], dict[str, Any]]:
        path, headers, body = self.got.get(timeout=10)
        return path, headers, json.loads(body)

    def end(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.thread.join(5)
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.end()


@pytest.fixture
def made() -> Iterator[Callable[..., Webhook]]:
    """Webhooks that try again at once; ended after the test, with their threads."""
    all_of_them: list[Webhook] = []

    def make(url: str, secret: str = "", **others: Any) -> Webhook:
        all_of_them.append(Webhook(url, secret, Backoff(0.01, 0.05), **others))
        return all_of_them[-1]

    yield make
    for webhook in all_of_them:
        webhook.close()
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("webhook")], 5, "no thread is left")


def numbered(number: int) -> Alert:
    return Alert("yahoo", "AAPL", ALERT.at + number, ALERT.rule, 100.0, 101.3, 1.3, ALERT.from_at)


def counts(webhook: Webhook) -> tuple[Any, ...]:
    said = webhook.metrics()
    return said["alerts_posted"], said["alerts_waiting"], said["alerts_dropped"]


def test_what_is_posted_and_how_it_is_signed(receiver: Receiver, made: Callable[..., Webhook]) -> None:
    webhook = made(receiver.url.replace("//", "//me:se%2Fcret@"), "hidden-word")
    webhook.post(ALERT, "AAPL moved +1.3 %", simulated=False)
    path, headers, body = receiver.got.get(timeout=10)
    assert path == "/hook?to=class"
    assert json.loads(body) == {
        "id": ALERT.key, "source": "yahoo", "symbol": "AAPL", "at": ALERT.at, "rule": "move 1% in 5 min", "from": 100.0,
        "to": 101.3, "percent": 1.3, "from_at": ALERT.from_at, "simulated": False, "text": "AAPL moved +1.3 %",
    }  # fmt: skip
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == ALERT.key
    assert abs(int(headers["X-Stockwatch-Timestamp"]) - time.time()) < 60
    signed = headers["X-Stockwatch-Timestamp"].encode() + b"." + body
    assert headers["X-Stockwatch-Signature"] == "sha256=" + hmac.new(b"hidden-word", signed, hashlib.sha256).hexdigest()
    assert headers["Authorization"] == "Basic bWU6c2UvY3JldA=="
    until(lambda: counts(webhook) == (1, 0, 0), 5, "taken")


def test_one_that_fails_is_posted_until_it_is_taken_and_in_order(receiver: Receiver, made: Callable[..., Webhook]) -> None:
    def closes(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True

    receiver.answers = [500, 503, 429, closes, 204]
    webhook = made(receiver.url)
    for number in range(3):
        webhook.post(numbered(number), "", simulated=False)
    got = [receiver.next() for _ in range(7)]
    assert [body["id"] for _path, _headers, body in got] == [numbered(n).key for n in (0, 0, 0, 0, 0, 1, 2)]
    assert "X-Stockwatch-Signature" not in got[0][1]  # without a secret
    until(lambda: counts(webhook) == (3, 0, 0), 5, "all are taken")
    assert webhook.metrics()["webhook"] == "current"


@pytest.mark.parametrize("status", [302, 400, 404])
def test_a_refusal_or_redirection_is_said_and_not_tried_again(
    receiver: Receiver, made: Callable[..., Webhook], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [status]
    webhook = made(receiver.url)
    webhook.post(numbered(0), "", simulated=False)
    webhook.post(numbered(1), "", simulated=False)
    assert [receiver.next()[2]["id"] for _ in range(2)] == [numbered(0).key, numbered(1).key]
    until(lambda: counts(webhook) == (1, 0, 1), 5, "one dropped, one posted")
    assert caplog.messages == [f"the webhook: an alert was dropped: it answers {status}"]


def test_one_that_hangs_is_left_at_the_deadline(receiver: Receiver, made: Callable[..., Webhook]) -> None:
    def trickles(handler: BaseHTTPRequestHandler) -> None:
        """A byte now and then: no read of the client is ever late."""
        while not receiver.release.wait(0.05):
            try:
                handler.wfile.write(b"H")
            except OSError:  # it has left
                break
        handler.close_connection = True

    receiver.answers = [trickles]
    webhook = made(receiver.url, post_seconds=0.3)
    webhook.post(ALERT, "", simulated=False)
    assert receiver.next()[2]["id"] == receiver.next()[2]["id"] == ALERT.key
    until(lambda: counts(webhook) == (1, 0, 0), 5, "posted in the end")


def test_nobody_waits_for_it(receiver: Receiver, made: Callable[..., Webhook], caplog: pytest.LogCaptureFixture) -> None:
    """It hangs while alerts come: the row is bounded, and what is dropped or left at the end is said; a stop does not wait."""
    receiver.answers = [lambda handler: setattr(handler, "close_connection", receiver.release.wait(20))]
    webhook = made(receiver.url, most=3)
    for number in range(5):
        webhook.post(numbered(number), "", simulated=False)
    receiver.next()
    assert counts(webhook) == (0, 3, 2)
    assert caplog.messages == ["the webhook: an alert was dropped: too many wait"] * 2
    webhook.close()
    assert not receiver.release.is_set()
    assert caplog.messages[-1] == "the webhook: 3 alerts were not posted; they are in the table alerts"
    webhook.post(ALERT, "", simulated=False)
    assert counts(webhook) == (0, 3, 2)


def test_nobody_there_is_said_without_the_address(made: Callable[..., Webhook]) -> None:
    webhook = made(f"http://me:hidden-word@127.0.0.1:{free_port()}/hidden-word")
    webhook.post(ALERT, "", simulated=False)
    until(lambda: webhook.metrics()["webhook"] != "current", 5, "it is said")
    assert webhook.metrics() == {
        "webhook": "no answer: ConnectionRefusedError", "alerts_posted": 0, "alerts_waiting": 1, "alerts_dropped": 0,
    }  # fmt: skip


def test_one_never_used_has_no_thread() -> None:
    before = threading.active_count()
    webhook = Webhook("http://127.0.0.1:9/")
    judge = AlertJudge(Alerts(), None, webhook)  # type: ignore[arg-type]
    assert judge.metrics()["webhook"] == "current"
    webhook.close()
    assert threading.active_count() == before


def test_a_secret_is_in_no_repr_or_log(
    receiver: Receiver, made: Callable[..., Webhook], caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [400]
    with caplog.at_level(logging.DEBUG):
        webhook = made(receiver.url, "hidden-word")
        webhook.post(ALERT, "", simulated=False)
        until(lambda: counts(webhook)[2] == 1, 5, "dropped")
    assert "hidden-word" not in caplog.text + repr(Alerts(webhook_secret="hidden-word", webhook_url="http://hidden-word/"))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"rules": [{"symbol": "AAPL"}]}, "needs one or more of above, below and move_percent"),
        ({"rules": [{"above": 0}]}, "alerts.rules.0.above = 0: must be greater than 0"),
        ({"webhook_url": "http://hidden-word:port/"}, "its port is no number"),
        ({"webhook_secret": ["hidden-word"]}, "alerts.webhook_secret: must be"),
    ],
)
def test_a_wrong_setting_is_one_line_without_a_secret(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "settings.toml", {"alerts": keys})
    assert said in str(caught.value)
    assert "hidden-word" not in str(caught.value)
    assert "\n" not in str(caught.value)
