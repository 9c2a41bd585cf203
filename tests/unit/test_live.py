"""The hub: what is watched is made once, patches go to those who can use them, and nobody is held up."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from stockwatch.dashboard import live
from stockwatch.dashboard.live import MOST_CHANNELS, Hub, Watcher
from stockwatch.dashboard.patch import patched


class Maker:
    """Makes parts with a number that grows; counts how often it is asked."""

    def __init__(self, pause: float = 0.0) -> None:
        self.asked: list[str] = []
        self.pause = pause
        self.fails = threading.Event()

    def __call__(self, name: str) -> tuple[dict[str, Any], float]:
        self.asked.append(name)
        if self.fails.is_set():
            raise ZeroDivisionError("a surprise")
        return {"name": name, "numbers": list(range(len(self.asked)))}, self.pause


class Page:
    """What a page does with what it is told."""

    def __init__(self) -> None:
        self.states: dict[str, tuple[int, Any]] = {}
        self.kinds: list[str] = []

    def take(self, told: list[str]) -> None:
        for text in told:
            message = json.loads(text)
            version, old = self.states.get(message["c"], (0, None))
            self.kinds.append("f" if "f" in message else "p")
            if "p" in message:
                assert message["v"] == version + 1
            state = message["f"] if "f" in message else patched(old, message["p"])
            self.states[message["c"]] = message["v"], state


async def told(watcher: Watcher, page: Page, enough: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not enough():
            await watcher.wake.wait()
            page.take(watcher.take())


def test_a_page_gets_the_whole_and_then_what_changes() -> None:
    async def scene() -> None:
        hub, watcher, page = Hub(Maker()), Watcher(), Page()
        hub.watch(watcher, ["a"])
        await told(watcher, page, lambda: len(page.kinds) >= 4)
        assert page.kinds[0] == "f"
        assert "p" in page.kinds
        version, state = page.states["a"]
        assert state == {"name": "a", "numbers": list(range(version))}
        hub.leave(watcher)

    asyncio.run(scene())


def test_many_pages_cost_one_making() -> None:
    async def scene() -> None:
        make = Maker(pause=60.0)
        hub = Hub(make)
        watchers, pages = [Watcher() for _ in range(50)], [Page() for _ in range(50)]
        for watcher in watchers:
            hub.watch(watcher, ["a"])
        for watcher, page in zip(watchers, pages, strict=True):
            await told(watcher, page, lambda page=page: "a" in page.states)  # type: ignore[misc]
        assert make.asked == ["a"]
        late = Watcher()
        hub.watch(late, ["a"])  # who comes later gets what is there, at once
        assert json.loads(late.take()[0])["f"]["name"] == "a"
        assert make.asked == ["a"]

    asyncio.run(scene())


def test_a_slow_page_gets_the_newest_state_and_no_backlog() -> None:
    async def scene() -> None:
        hub, slow, quick, page = Hub(Maker()), Watcher(), Watcher(), Page()
        hub.watch(slow, ["a"])
        hub.watch(quick, ["a"])
        await told(quick, page, lambda: page.states.get("a", (0,))[0] >= 4)
        messages = slow.take()
        assert len(messages) == 1
        assert json.loads(messages[0])["f"] == page.states["a"][1]

    asyncio.run(scene())


def test_a_page_that_lost_its_place_gets_the_whole_again() -> None:
    async def scene() -> None:
        hub, watcher, page = Hub(Maker(pause=60.0)), Watcher(), Page()
        hub.watch(watcher, ["a"])
        await told(watcher, page, lambda: "a" in page.states)
        assert watcher.take() == []
        hub.again(watcher, "a")
        page.take(watcher.take())
        assert page.kinds == ["f", "f"]

    asyncio.run(scene())


def test_what_nobody_watches_is_not_made_and_leaves_nothing() -> None:
    async def scene() -> None:
        make = Maker()
        hub, watcher, page = Hub(make), Watcher(), Page()
        hub.watch(watcher, ["a", "b"])
        await told(watcher, page, lambda: {"a", "b"} <= set(page.states))
        hub.watch(watcher, ["b"])
        assert hub.channels == ["b"]
        hub.leave(watcher)
        assert hub.channels == []
        assert watcher.known == {}

    asyncio.run(scene())


def test_a_part_that_cannot_be_made_says_so_and_the_others_go_on() -> None:
    async def scene() -> None:
        make = Maker()
        hub, watcher, page = Hub(make), Watcher(), Page()
        make.fails.set()
        hub.watch(watcher, ["a"])
        await told(watcher, page, lambda: "failed" in page.states.get("a", (0, {}))[1])
        make.fails.clear()
        hub.watch(watcher, ["a", "b"])
        await told(watcher, page, lambda: "numbers" in page.states.get("b", (0, {}))[1])
        hub.leave(watcher)

    asyncio.run(scene())


def test_the_number_of_parts_is_bounded() -> None:
    async def scene() -> None:
        hub = Hub(Maker(pause=60.0))
        for first in range(0, MOST_CHANNELS + 40, 10):
            hub.watch(Watcher(), [str(first + number) for number in range(10)])
        assert len(hub.channels) == MOST_CHANNELS

    asyncio.run(scene())


def test_a_part_that_takes_long_holds_up_no_other() -> None:
    async def scene() -> None:
        released = threading.Event()

        def make(name: str) -> tuple[dict[str, Any], float]:
            if name == "slow":
                assert released.wait(10)
            return {"now": time.monotonic()}, 0.0

        hub, watcher, page = Hub(make), Watcher(), Page()
        hub.watch(watcher, ["slow", "quick"])
        await told(watcher, page, lambda: page.states.get("quick", (0,))[0] >= 5)
        assert "slow" not in page.states
        released.set()
        await told(watcher, page, lambda: "slow" in page.states)
        hub.leave(watcher)

    asyncio.run(scene())


def test_a_nudge_makes_what_is_made_at_once_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "AT_ONCE", 60.0)

    async def scene() -> None:
        make = Maker(pause=60.0)

        def by_name(name: str) -> tuple[dict[str, Any], float]:
            state, pause = make(name)
            return state, pause * 2 if name == "calm" else pause

        hub, watcher, page = Hub(by_name), Watcher(), Page()
        hub.nudge()  # nobody looks yet
        hub.watch(watcher, ["calm", "eager"])
        await told(watcher, page, lambda: len(page.states) == 2)
        for count in (2, 3):
            hub.nudge()
            await told(watcher, page, lambda count=count: page.states["eager"][0] == count)  # type: ignore[misc]
        assert page.states["calm"][0] == 1
        hub.leave(watcher)

    asyncio.run(scene())


def test_a_nudge_while_a_part_is_being_made_makes_it_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "AT_ONCE", 60.0)

    async def scene() -> None:
        making, released, made = threading.Event(), threading.Event(), list[float]()

        def make(_name: str) -> tuple[dict[str, Any], float]:
            making.set()
            assert released.wait(10)
            made.append(time.monotonic())
            return {"made": len(made)}, 60.0

        hub, watcher, page = Hub(make), Watcher(), Page()
        hub.watch(watcher, ["a"])
        assert await asyncio.to_thread(making.wait, 10)
        hub.nudge()
        released.set()
        await told(watcher, page, lambda: page.states.get("a", (0, {}))[1] == {"made": 2})
        hub.leave(watcher)

    asyncio.run(scene())


def test_its_threads_end_when_nothing_is_watched_and_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.02)

    def makers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in before]

    async def scene() -> None:
        hub = Hub(Maker(pause=60.0))
        for _ in range(2):
            watcher, page = Watcher(), Page()
            hub.watch(watcher, ["a"])
            await told(watcher, page, lambda page=page: "a" in page.states)  # type: ignore[misc]
            assert len(makers()) == live.MAKERS
            hub.leave(watcher)
            async with asyncio.timeout(10):
                while makers():
                    await asyncio.sleep(0.01)

    before = threading.enumerate()
    asyncio.run(scene())
