"""Alerts as POSTs of JSON to one address: signed, tried again, from a thread of its own, and never in anybody's way.

Body: {"id", "source", "symbol", "at", "rule", "from", "to", "percent", "from_at", "simulated", "text"}; times in ms since the
epoch, UTC. Headers, beside Content-Type: application/json:
    Idempotency-Key: the body's id, the same whenever this alert is posted, also after a restart; drop what was seen before
    X-Stockwatch-Timestamp: when it was sent, in seconds since the epoch; refuse what is old
    X-Stockwatch-Signature: sha256=<hex of HMAC-SHA256(webhook_secret, timestamp + "." + body)>; only where a secret is set
A 2xx is taken; 408, 425, 429, 5xx and no answer are tried again; anything else, redirections too, is a refusal: dropped and said.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import socket
import threading
import time
from base64 import b64encode
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from stockwatch.component import Backoff
from stockwatch.component.call import Call
from stockwatch.health import Metric
from stockwatch.store.alerts import Alert

log = logging.getLogger(__name__)

MOST_WAITING = 1_000  # past that the oldest are dropped
POST_SECONDS = 10.0  # one POST, from the look-up of its name to its status
KEEP_SECONDS = 3_600.0  # an alert that cannot be posted for so long is dropped
AGAIN = {408, 425, 429}


@dataclass(frozen=True)
class _Post:
    key: str
    body: bytes
    since: float


class Webhook:
    """Outlives the consumer's lives. Every method may be called from any thread and returns at once."""

    def __init__(
        self,
        url: str,
        secret: str = "",
        backoff: Backoff | None = None,
        post_seconds: float = POST_SECONDS,
        most: int = MOST_WAITING,
    ) -> None:
        self._parts, self._secret, self._post_seconds, self._most = urlsplit(url), secret.encode(), post_seconds, most
        self._backoff = backoff or Backoff(1.0, 60.0)
        self._changed = threading.Condition()
        self._waiting: deque[_Post] = deque()  # the first one is being posted
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._posted = self._dropped = 0
        self._error: str | None = None

    def post(self, alert: Alert, text: str, simulated: bool) -> None:
        """Put an alert in the row; `text`: it in words."""
        said = {
            "id": alert.key, "source": alert.source, "symbol": alert.symbol, "at": alert.at, "rule": alert.rule,
            "from": alert.from_price, "to": alert.to_price, "percent": alert.percent, "from_at": alert.from_at,
            "simulated": simulated, "text": text,
        }  # fmt: skip
        with self._changed:
            if self._stopping.is_set():
                return
            self._waiting.append(_Post(alert.key, json.dumps(said, ensure_ascii=False).encode(), time.monotonic()))
            if len(self._waiting) > self._most:
                self._waiting.popleft()
                self._drop("too many wait")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def metrics(self) -> dict[str, Metric]:
        """webhook: what is wrong, or "current"; how many were posted, wait and were dropped."""
        with self._changed:
            counts: dict[str, Metric] = {
                "alerts_posted": self._posted,
                "alerts_waiting": len(self._waiting),
                "alerts_dropped": self._dropped,
            }
            return {"webhook": self._error or "current", **counts}

    def close(self) -> None:
        """End. What waits is not posted: that is said."""
        with self._changed:
            if self._waiting and not self._stopping.is_set():
                log.warning("the webhook: %d alerts were not posted; they are in the table alerts", len(self._waiting))
            self._stopping.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(0.3)  # else it is left behind: it ends with its POST's deadline

    def _drop(self, why: str) -> None:
        """Count one that is not posted; the lock is held."""
        self._dropped += 1
        log.warning("the webhook: an alert was dropped: %s", why)

    def _work(self) -> None:
        try:
            while (post := self._next()) is not None:
                self._try(post)
        except Exception as error:  # a surprise ends the webhook, not the consumer; it is said in its health
            log.exception("the webhook ended by a surprise")
            self._error = f"ended by a surprise: {type(error).__name__}"

    def _next(self) -> _Post | None:
        """The first in the row, once there is one; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping.is_set())
            return None if self._stopping.is_set() else self._waiting[0]

    def _try(self, post: _Post) -> None:
        status, error = self._send(post)
        if self._stopping.is_set():
            return
        with self._changed:
            self._error = error
            again = error is not None and (status is None or status in AGAIN or status >= 500)
            late = time.monotonic() - post.since > KEEP_SECONDS
            if again and not late:
                wait = self._backoff.next_delay()
            else:
                wait = 0.0
                self._backoff.reset()
                if self._waiting and self._waiting[0] is post:  # else it was dropped meanwhile: too many wait
                    self._waiting.popleft()
                    if error is not None:
                        self._drop(f"{error}{', for an hour' if again else ''}")
                self._posted += error is None
        if wait:
            self._stopping.wait(wait)

    def _send(self, post: _Post) -> tuple[int | None, str | None]:
        """The status, None without an answer, and what is wrong in plain words without the address; None: it was taken."""
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=self._post_seconds)
        call = Call(lambda: self._status(connection, post), "webhook-post")
        if not call.wait(self._post_seconds, self._stopping.is_set):
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)  # ends what is left behind
            return None, f"no answer within {self._post_seconds:g} s"
        try:
            status = call.result()
        except (OSError, http.client.HTTPException, ValueError) as error:
            return None, f"no answer: {type(error).__name__}"
        return status, None if 200 <= status < 300 else f"it answers {status}"

    def _status(self, connection: http.client.HTTPConnection, post: _Post) -> int:
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "stockwatch",
            "Idempotency-Key": post.key,
            "X-Stockwatch-Timestamp": timestamp,
        }
        if self._parts.username is not None:
            pair = f"{unquote(self._parts.username)}:{unquote(self._parts.password or '')}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        if self._secret:
            signed = hmac.new(self._secret, timestamp.encode() + b"." + post.body, hashlib.sha256).hexdigest()
            headers["X-Stockwatch-Signature"] = f"sha256={signed}"
        path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        with closing(connection):
            connection.request("POST", path, post.body, headers)
            return connection.getresponse().status
