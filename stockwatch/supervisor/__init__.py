"""The supervisor: order, watch, back off, stop. The only user of APScheduler, and the only one that decides.

Jobs and listeners run in the scheduler's threads and only put events on a queue; the main thread takes them, asks the
Row what follows, and does it. Children are started there: PR_SET_PDEATHSIG fires when the thread that started them ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType

from apscheduler.events import EVENT_JOB_EXECUTED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from stockwatch.component import Component, Worker
from stockwatch.component.collector import sweep
from stockwatch.errors import ComponentFailedError, RetryableError, StockwatchError
from stockwatch.health import HealthRegistry, State
from stockwatch.supervisor.events import Event, Failed, Finished, Ready, RenewalAsked, StopRequested
from stockwatch.supervisor.row import Finish, Part, Phase, Row, Start, Stop

log = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
READY_PAUSE_SECONDS = 0.05
LOOK_SECONDS = 1.0  # on Windows a signal does not wake a wait: it is seen when the wait ends
STOP_SECONDS = 4.5  # everything must have ended by then; DESIGN.md allows 5


class Supervisor:
    """Runs the parts until it is told to stop. run() belongs on the main thread."""

    def __init__(
        self, parts: Sequence[Part], registry: HealthRegistry, on_ready: Callable[[str], None] = lambda _name: None
    ) -> None:
        self._row = Row(parts)
        self._names = [part.name for part in parts]
        self._registry = registry
        self._on_ready = on_ready  # told on the main thread, once for each life that gets ready
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._lives: dict[str, Component] = {}
        self._renewals: Counter[str] = Counter()
        self._stopping = threading.Event()  # for the scheduler's threads; a signal's handler may not touch its lock
        self._told_to_stop = False
        self._failure: Exception | None = None  # what ends the program, and the stops that follow from it
        self._last_stops: list[Stop] = []
        # Threads for: two worker lives and their left-behind forerunners, one ready and one beat job for each part.
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(24)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def run(self) -> None:
        """Until stopped. Raises the StockwatchError of an essential part whose first start fails."""
        for signal_name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            if hasattr(signal, signal_name):
                signal.signal(getattr(signal, signal_name), self._on_signal)
        self._scheduler.add_listener(self._on_job_done, EVENT_JOB_EXECUTED)
        self._scheduler.start()
        for name in self._names:
            self._registry.report(name, State.STARTING)
            self._scheduler.add_job(self._beat, "interval", seconds=BEAT_SECONDS, args=[name], id=f"watch-{name}")
        try:
            while not self._told_to_stop:
                self._carry_out(self._row.due(time.monotonic()))
                self._handle(self._next_event())
        except Exception as error:
            self._failure = error
            raise
        finally:
            self._stop_everything()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Comes between any two steps of the main thread, which may hold an Event's lock: only a flag and the queue's put."""
        if self._told_to_stop and number == signal.SIGINT:
            os._exit(130)  # the second Ctrl-C: at once; the children die with us
        self._told_to_stop = True
        self._events.put(StopRequested())

    def _on_job_done(self, event: JobExecutionEvent) -> None:
        name, _, life = event.job_id.partition("-")
        if not life.isdigit():
            return
        if self._row.phase(name) is Phase.FINISHING:
            self._events.put(Finished(name, int(life)))
        else:  # a worker's life is over; which error it was, its beat() says
            self._check(name, int(life))

    def _next_event(self) -> Event | None:
        due = self._row.next_due()
        try:
            left = LOOK_SECONDS if due is None else min(max(due - time.monotonic(), 0.0), LOOK_SECONDS)
            return self._events.get(timeout=left)
        except queue.Empty:
            return None

    def _handle(self, event: Event | None) -> None:
        now = time.monotonic()
        if isinstance(event, Ready) and self._row.ready(event.name, event.life, now):
            log.info("%s is ready (life %d)", event.name, event.life)
            self._registry.report(event.name, State.RUNNING)
            self._on_ready(event.name)
            self._tell_renewed(now)
            if event.life > 1:
                sweep()
        elif isinstance(event, Failed):
            self._fail(event, now)
        elif isinstance(event, Finished):
            self._row.finished(event.name, event.life)
        elif isinstance(event, RenewalAsked):
            self._renew(event, now)

    def _carry_out(self, steps: Iterable[Start | Stop | Finish]) -> None:
        for step in steps:
            if isinstance(step, Start):
                self._start(step)
            elif isinstance(step, Stop):
                self._stop(step)
            elif isinstance(worker := self._lives.get(step.name), Worker):
                worker.finish()

    def _renew(self, event: RenewalAsked, now: float) -> None:
        steps = self._row.renew(event.name, event.life, event.renewal.urgent, now)
        if not steps:
            return
        log.info("renewing %s (life %d): %s", event.name, event.life, event.renewal.reason)
        self._carry_out(steps)
        self._registry.report(event.name, State.STARTING, detail=f"being renewed: {event.renewal.reason}")
        for step in steps:
            self._registry.report(step.name, State.STARTING, detail=f"waits for {event.name}, which is being renewed")

    def _tell_renewed(self, now: float) -> None:
        if renewed := self._row.renewed(now):
            name, took = renewed
            self._renewals[name] += 1
            log.info("%s is renewed: a pause of %.1f s", name, took)
            self._registry.report(name, metrics={"renewals": self._renewals[name], "renewal_seconds": round(took, 2)})

    def _fail(self, event: Failed, now: float) -> None:
        first = self._row.is_first_start(event.name)
        stops = self._row.failed(event.name, event.life, now)
        if not stops:
            return
        log.warning("%s failed (life %d): %s", event.name, event.life, event.reason)
        if first and self._row.part(event.name).essential:
            self._last_stops = stops
            raise StockwatchError(event.reason)
        for stop in stops:
            self._stop(stop)
        failed = self._row.has_failed(event.name)
        self._registry.report(event.name, State.FAILED if failed else State.DEGRADED, error=f"{event.reason}. Starting it again.")
        for stop in stops[:-1]:
            self._registry.report(stop.name, State.DEGRADED, error=f"waits for {event.name}")

    def _start(self, start: Start) -> None:
        log.info("starting %s (life %d)", start.name, start.life)
        self._registry.report(start.name, restarts=start.life - 1)
        with self._telling(start.name, start.life):
            try:
                component = self._row.part(start.name).make()
                self._lives[start.name] = component
                component.start()
            except OSError as error:  # a full disk under a log or the page's file
                raise ComponentFailedError(str(error)) from error
            if isinstance(component, Worker):
                self._scheduler.add_job(component.run, id=f"{start.name}-{start.life}")
            # An id of its own for each life: APScheduler drops a job whose id still runs, and an old life's may.
            asking = f"ready-{start.name}-{start.life}"
            self._scheduler.add_job(self._await_ready, args=[start.name, start.life, component], id=asking)

    @contextlib.contextmanager
    def _telling(self, name: str, life: int) -> Iterator[None]:
        """What ends a life here is told with its reason; of a surprise (rule 8) its name, and the log has the traceback."""
        try:
            yield
        except StockwatchError as error:
            self._events.put(Failed(name, life, str(error)))
        except Exception as error:
            log.exception("%s (life %d) met a surprise", name, life)
            kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
            self._events.put(Failed(name, life, f"{name} met a surprise, {kind}: stockwatch.log says where"))

    def _await_ready(self, name: str, life: int, component: Component) -> None:
        """In the scheduler's thread: ask until it is ready or its deadline is over."""
        until = time.monotonic() + component.deadlines.ready
        reason = f"not ready within {component.deadlines.ready:g} s"
        with self._telling(name, life):
            while not self._stopping.wait(READY_PAUSE_SECONDS) and self._lives.get(name) is component:
                try:
                    if component.ready():
                        self._events.put(Ready(name, life))
                        return
                except RetryableError as error:
                    reason = str(error)
                if time.monotonic() + READY_PAUSE_SECONDS > until:
                    raise ComponentFailedError(reason)

    def _beat(self, name: str) -> None:
        """In the scheduler's thread, each second: is the current life well?"""
        if self._row.phase(name) is Phase.RUNNING:
            self._check(name, self._row.life(name))

    def _check(self, name: str, life: int) -> None:
        component = self._lives.get(name)
        if component is None or self._stopping.is_set():
            return
        with self._telling(name, life):
            if (renewal := component.beat()) is not None:
                self._events.put(RenewalAsked(name, life, renewal))

    def _stop(self, stop: Stop) -> None:
        component = self._lives.pop(stop.name, None)
        if component is None:
            return
        try:
            component.stop()
        except StockwatchError as error:
            log.warning("%s", error)
        except Exception:  # what comes after it must be stopped all the same
            log.exception("%s met a surprise while it stopped", stop.name)

    def _stop_everything(self) -> None:
        """In order, within the deadline; what still hangs then is left behind with the process."""
        self._stopping.set()
        timer = threading.Timer(STOP_SECONDS, self._leave)
        timer.daemon = True
        timer.start()
        log.info("stopping")
        for stop in [*self._last_stops, *self._row.stop_all()]:
            self._stop(stop)
            self._registry.report(stop.name, State.STOPPED)
        self._scheduler.shutdown(wait=False)
        timer.cancel()

    def _leave(self) -> None:
        log.error("still stopping after %g s: leaving the rest behind", STOP_SECONDS)
        if self._failure is not None:
            with contextlib.suppress(OSError):
                sys.stderr.write(f"stockwatch: {self._failure}\n")  # nobody else will say it any more
        os._exit(1 if self._failure is not None else 0)
