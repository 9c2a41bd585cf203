"""A recording over midnight with moves that are known: its alerts, its days, its candles and its downloads on the page."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page
from program import Program, until
from viewer import Viewer, taken_over

from stockwatch.component import StoreAddress
from stockwatch.store.alerts import Alert, AlertStore

pytestmark = pytest.mark.timeout(120)  # it plays for 20 s
START, SECONDS, STEP = pd.Timestamp("2026-11-23 20:30", tz="UTC"), 5 * 3600, 5
SPEED = 900  # 20 s for all of it
MOVE, EVERY = 1.6, 1800  # %, s: each symbol jumps so often, the other one in the middle between
SYMBOLS = {"NORTH": 100.0, "SOUTH": 2500.0}


def record(path: Path) -> pd.DataFrame:
    """Write the recording: still prices with jumps up and down. Its rows, with `moved` (%) where one jumps."""
    rows = []
    for number, (symbol, price) in enumerate(SYMBOLS.items()):
        for second in range(0, SECONDS, STEP):
            jumps = second > 0 and second % EVERY == number * EVERY // 2
            moved = (MOVE if (second // EVERY) % 2 else -MOVE) if jumps else 0.0
            price = round(price * (1 + moved / 100), 2)
            calm = min(second % (EVERY // 2), -second % (EVERY // 2)) <= 150  # so that each jump is as high as it says
            wave = price if calm else round(price * (1 + 0.0002 * (second // STEP % 7)), 2)
            rows.append((START + pd.Timedelta(seconds=second), symbol, wave, second % 50 + 1, moved))
    rows.sort(key=lambda row: row[0])
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["at", "symbol", "price", "volume"])
        writer.writerows((at.isoformat(), *rest) for at, *rest, _moved in rows)
    return pd.DataFrame(rows, columns=["at", "symbol", "price", "volume", "moved"])


def candles_of(told: pd.DataFrame, symbol: str, minutes: int) -> pd.DataFrame:
    """What is true, with pandas alone."""
    mine = told[told["symbol"] == symbol].set_index("at")
    prices = mine["price"].resample(f"{minutes}min").ohlc().dropna()
    return prices.assign(volume=mine["volume"].resample(f"{minutes}min").sum())


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, pd.DataFrame]]:
    """The program that plays it, and what it holds."""
    program = Program(tmp_path_factory.mktemp("replay"))
    told = record(program.folder / "night.csv")
    program.write(
        market={"source": "replay", "replay_file": "night.csv", "replay_speed": SPEED},
        dashboard={"port": 0, "live_refresh_seconds": 0.5},
        alerts={"move_percent": 1.0, "window_minutes": 2, "cooldown_minutes": 10},
    )
    try:
        program.start()
        yield program, told
    finally:
        program.kill()


@pytest.fixture
def viewer(browser: Browser, replay: tuple[Program, pd.DataFrame]) -> Iterator[Viewer]:
    """A page that is opened when all of the recording is stored: what it shows first is what it stays at."""
    program, _told = replay

    def is_stored() -> bool:
        source, sink = (program.component(name).get("metrics", {}) for name in ("producer", "consumer"))
        return bool(source.get("ended")) and source.get("outbox") == 0 and sink.get("lag") == 0

    until(is_stored, 60, "all of it is played and stored")
    page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme="light")
    yield Viewer(page, replay[0].health()["dashboard_url"])
    page.close()


def ended(viewer: Viewer, path: str = "") -> Page:
    """The page once all has been played."""
    viewer.page.goto(viewer.url + path)
    viewer.page.wait_for_function(
        "() => document.querySelector('[data-sw=first]')?.innerText.includes('recording ended')", timeout=45_000
    )
    viewer.page.wait_for_selector(".boxes path", timeout=20_000)
    taken_over(viewer.page)
    return viewer.page


def drawn(page: Page) -> dict[str, list[float]]:
    """The candles that are painted."""
    script = """() => { const { open, high, low, close } = document.querySelector('[data-card=candles] .sw-plot').data[0];
      return { open, high, low, close, volume: document.querySelector('[data-card=volume] .sw-plot').data[0].y }; }"""
    found: dict[str, list[float]] = page.evaluate(script)
    return found


def expected(told: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Every alert as the list says it, the newest first."""
    jumps = told[told["moved"] != 0].iloc[::-1]
    return [
        (f"{at:%H:%M}", symbol, "▲ +1.6" if moved > 0 else "▼ −1.6")
        for at, symbol, moved in zip(jumps["at"], jumps["symbol"], jumps["moved"], strict=True)
    ]


def test_every_move_is_a_line_in_the_list_and_a_new_one_a_toast(viewer: Viewer, replay: tuple[Program, pd.DataFrame]) -> None:
    program, told = replay
    page = ended(viewer)
    wanted = expected(told)[:8]
    until(lambda: page.wait_for_timeout(50) or page.locator(".sw-alerts li").count() == 8, 10, "the newest eight")
    shown = [page.locator(".sw-alerts li").nth(number).inner_text().split("\n") for number in range(8)]
    assert [(line[0], line[1], line[2].split("0 %")[0].removesuffix(" %")) for line in shown] == wanted
    since = [symbol for clock, symbol, _ in expected(told) if clock < "12:00"]  # its day, from midnight on
    bells = page.locator(".sw-list tr[data-symbol=NORTH] .alerts")
    until(lambda: page.wait_for_timeout(50) or bells.inner_text().split()[-1:] == [str(since.count("NORTH"))], 10, "the bells")
    assert bells.locator("svg").bounding_box()["width"] == 16  # type: ignore[index]
    button = page.locator(".sw-alerts button", has_text="SOUTH").first
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.sw-stage').dataset.drawn === 'SOUTH'")
    # One more row, as the consumer writes it, while the page is open: however fast this machine plays, it comes afterwards.
    address = StoreAddress(
        program.health()["clickhouse_url"], "stockwatch", "stockwatch", password_file=program.data_dir / "clickhouse.password"
    )
    at = round(told["at"].iloc[-1].timestamp() * 1000)
    page.wait_for_function("() => !document.querySelector('.sw-toast')", timeout=20_000)  # those of the recording's end
    store = AlertStore(address)
    store.insert_alerts([Alert("replay:night", "NORTH", at, "move 1% in 2 min", 100.0, 97.5, -2.5, at - 60_000)])
    store.close()
    toast = page.locator(".sw-toasts[role=status] .sw-toast")
    toast.wait_for(timeout=15_000)
    box = toast.bounding_box()
    assert "NORTH moved −2.5 % in 1 min (100.00 → 97.50) at 01:29" in toast.inner_text()
    assert "replay" in toast.inner_text()
    assert box is not None
    assert box["x"] > 720  # at the right, over neither badge nor price
    assert box["x"] + box["width"] <= 1440
    first = page.locator(".sw-alerts li").first
    assert first.inner_text().split("\n")[:3] == ["01:29", "NORTH", "▼ −2.50 %"]
    assert is_at(page, ".sw-alerts button")  # what came did not take the focus away
    assert page.evaluate("() => document.activeElement.textContent") == "SOUTH"
    assert viewer.troubles == []


def is_at(page: Page, selector: str) -> bool:
    return bool(page.evaluate("selector => document.activeElement.matches(selector)", selector))


def test_midnight_is_a_line_between_the_names_of_two_days_in_both_charts(viewer: Viewer) -> None:
    page = ended(viewer)
    for card in ("candles", "volume"):
        names = page.locator(f"[data-card={card}] .annotation text")
        boxes = {names.nth(n).text_content(): names.nth(n).bounding_box() for n in range(names.count())}
        old, new = boxes["Mon 23 Nov"], boxes["Tue 24 Nov"]
        line = page.locator(f"[data-card={card}] .shapelayer path").evaluate_all(
            "all => all.map(path => path.getBoundingClientRect()).filter(box => box.width < 4).map(box => box.x + box.width / 2)"
        )
        assert old is not None
        assert new is not None
        assert len(line) == 1
        assert old["x"] + old["width"] < line[0] < new["x"]
        bold = names.filter(has_text="Tue 24 Nov").locator("tspan").first.evaluate("text => getComputedStyle(text).fontWeight")
        assert int(bold) >= 600


@pytest.mark.parametrize("minutes", [1, 5, 15, 60])
def test_a_link_shows_its_tickers_candles_as_they_are(viewer: Viewer, replay: tuple[Program, pd.DataFrame], minutes: int) -> None:
    page = ended(viewer, f"/?ticker=SOUTH&minutes={minutes}")
    page.wait_for_function(
        "word => document.querySelector('[data-card=candles] h2').textContent === word", arg=f"{minutes}-minute candles"
    )
    truth = candles_of(replay[1], "SOUTH", minutes).tail(50)
    page.wait_for_function("count => document.querySelectorAll('.boxes path').length === count", arg=len(truth))
    seen = drawn(page)
    for name in ("open", "high", "low", "close", "volume"):
        assert seen[name] == pytest.approx(truth[name].tolist()), name
    assert page.inner_text(".sw-price").strip() == f"{truth['close'].iloc[-1]:,.2f}"
    assert page.inner_text("[data-card=candles] .sw-tags") == "REPLAY"


def read(path: Path, form: str) -> pd.DataFrame:
    readers: dict[str, Any] = {"csv": pd.read_csv, "xlsx": pd.read_excel, "parquet": pd.read_parquet}
    found: pd.DataFrame = readers[form](path)
    return found


def test_the_export_card_gives_the_same_true_rows_in_each_format(
    viewer: Viewer, replay: tuple[Program, pd.DataFrame], tmp_path: Path
) -> None:
    page = ended(viewer, "/?ticker=NORTH&minutes=15")
    page.locator("[data-rows=candles]", has_text="15-min candles").wait_for()
    page.locator("[data-period=all]").click()
    truth = candles_of(replay[1], "NORTH", 15)
    for form, word in (("csv", "CSV"), ("xlsx", "Excel"), ("parquet", "Parquet")):
        with page.expect_download(timeout=30_000) as download:
            page.get_by_role("link", name=word).click()
        assert download.value.suggested_filename.endswith(f".{form}")
        path = tmp_path / f"rows.{form}"
        download.value.save_as(path)
        found = read(path, form)
        assert set(found["symbol"]) == {"NORTH"}
        assert set(found["source"]) == {"replay:night"}
        assert not found["simulated"].astype(bool).any()
        for name in ("open", "high", "low", "close", "volume"):
            assert found[name].astype(float).tolist() == pytest.approx(truth[name].tolist()), (form, name)
        assert (pd.to_datetime(found["time_utc"], utc=True) == truth.index).all()
    page.locator("[data-rows=ticks]").click()
    with page.expect_download(timeout=30_000) as download:
        page.get_by_role("link", name="CSV").click()
    assert len(pd.read_csv(download.value.path())) == SECONDS // STEP
