"""Frames to figures, numbers and words: pure, so looked at without a browser."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import plotly.graph_objects as go
import pytest

from stockwatch.dashboard import axes, charts, header, numbers, sidebar
from stockwatch.dashboard.facts import Facts
from stockwatch.dashboard.figure import Figure
from stockwatch.sessions import SessionStatus, market_for

IST = ZoneInfo("Asia/Kolkata")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=IST).timestamp() * 1000)


def frame() -> pd.DataFrame:
    """45 candles of one session and 5 of the next, which begins at 9:15."""
    starts = [at("2026-11-23 11:45") + n * 300_000 for n in range(45)] + [at("2026-11-25 09:15") + n * 300_000 for n in range(5)]
    sessions = [at("2026-11-23 00:00")] * 45 + [at("2026-11-25 00:00")] * 5
    closes = [100.0 + (n * 7) % 5 for n in range(50)]
    return pd.DataFrame({
        "start": starts, "end": [start + 300_000 for start in starts], "session": sessions, "open": [101.5] * 50,
        "high": [106.0] * 50, "low": [99.0] * 50, "close": closes, "volume": range(1000, 51_000, 1000),
    })  # fmt: skip


def checked(made: Figure) -> go.Figure:
    """As plotly's own classes take it, which refuse what plotly.js does not know."""
    return go.Figure(charts.as_json(made))


def test_volume_bars_have_their_candles_colours_in_one_trace() -> None:
    candles, volumes = checked(charts.candles(frame(), IST, "INR")).data, checked(charts.volumes(frame(), IST)).data
    assert [trace.type for trace in candles] == ["candlestick"]
    assert [trace.type for trace in volumes] == ["bar"]
    rising, falling = candles[0].increasing, candles[0].decreasing
    rose = (frame()["close"] >= frame()["open"]).tolist()
    assert list(volumes[0].marker.color) == [rising.fillcolor if up else falling.fillcolor for up in rose]
    assert list(volumes[0].marker.line.color) == [rising.line.color if up else falling.line.color for up in rose]
    assert list(volumes[0].x) == list(candles[0].x) == list(range(50))


def test_a_candle_that_closed_where_it_opened_has_the_colour_that_plotly_gives_it() -> None:
    opens, closes = [5, 5, 4, 4, 3, 3, 6.0], [5, 4, 4, 6, 3, 3, 6.0]  # alone; fell; as before it; rose; below; as before; above
    rose = axes.rises(pd.DataFrame({"open": opens, "close": closes})).tolist()
    assert rose == [True, False, False, True, False, False, True]


def test_every_sessions_first_candle_is_labelled() -> None:
    where, labels = axes.time_labels(frame(), IST)
    assert (45, "09:15") in list(zip(where, labels, strict=True))
    assert len(where) <= 12
    assert all(abs(a - b) >= 3 for a, b in itertools.pairwise(where))


def test_a_session_break_names_both_days() -> None:
    figure = checked(charts.candles(frame(), IST, "INR"))
    texts = [note.text for note in figure.layout.annotations]
    assert "Mon 23 Nov" in texts
    assert any(shape.x0 == 44.5 for shape in figure.layout.shapes)


def test_a_simulated_chart_carries_its_mark_under_the_data() -> None:
    for figure in (charts.candles(frame(), IST, "INR", "SIMULATED"), charts.volumes(frame(), IST, "SIMULATED")):
        assert "SIMULATED" in [note.text for note in checked(figure).layout.annotations]


def test_a_previous_close_off_the_scale_does_not_flatten_the_line() -> None:
    line = pd.DataFrame(
        {"at": [at("2026-11-25 09:15") + n * 1000 for n in range(100)], "price": [100 + n / 100 for n in range(100)]}
    )
    near = checked(charts.live(line, IST, "INR", 100.2, (at("2026-11-25 09:15"), at("2026-11-25 15:30"))))
    far = checked(charts.live(line, IST, "INR", 50.0, (at("2026-11-25 09:15"), at("2026-11-25 15:30"))))
    assert any(trace.fill == "tonexty" for trace in near.data)
    assert not any(trace.fill == "tonexty" for trace in far.data)
    assert far.layout.yaxis.range[0] > 99
    assert any("↓ 50.00" in note.text for note in far.layout.annotations)


@pytest.mark.parametrize(
    ("value", "currency", "said"),
    [(142350.0, "INR", "₹1,42,350.00"), (12345678.9, "INR", "₹1,23,45,678.90"), (999.5, "INR", "₹999.50"), (142350.0, "USD", "$142,350.00"),
     (2500.4, "JPY", "¥2,500"), (-5.25, "EUR", "−€5.25"), (5.0, "CHF", "CHF 5.00")],
)  # fmt: skip
def test_prices_are_written_as_people_of_the_market_do(value: float, currency: str, said: str) -> None:
    assert numbers.price(value, currency) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(15_000, "15 K"), (1_480, "1.5 K"), (2_850_000, "2.85 M"), (999, "999"), (0, "0"), (31_000_000, "31 M")],
)
def test_volumes(value: float, said: str) -> None:
    assert numbers.volume(value) == said


@pytest.mark.parametrize(
    ("top", "labels"),
    [(3_100, ["0", "1 K", "2 K", "3 K"]), (1_900, ["0", "500", "1 K", "1.5 K", "2 K"]), (322_000, ["0", "100 K", "200 K", "300 K"]),
     (2_850_000, ["0", "1 M", "2 M", "3 M"]), (1, ["0", "1"])],
)  # fmt: skip
def test_the_volume_axis_has_three_to_five_round_steps_whose_labels_are_true(top: float, labels: list[str]) -> None:
    assert axes.volume_steps(top)[1] == labels


def test_what_a_drag_brings_in_sight_has_its_prices_on_the_axis() -> None:
    ticks, labels = axes.round_steps(100, 105, "INR", [], (80, 105))
    assert ticks[0] <= 80
    assert all(labels)
    assert max(b - a for a, b in itertools.pairwise(ticks)) == pytest.approx(1)


def test_changes_always_have_a_true_sign() -> None:
    assert (numbers.change(11.85), numbers.change(-1.84)) == ("+11.85", "−1.84")


def part(**more: Any) -> dict[str, Any]:
    now = datetime(2026, 11, 25, 10, 0, tzinfo=UTC).isoformat()
    return {"name": "consumer", "state": "running", "detail": "", "since": now, "last_beat": now, "restarts": 0, "error": None,
            "metrics": {"lag": 4, "rows_per_second": 12.0}, **more}  # fmt: skip


def test_the_sidebar_says_state_age_restarts_error_and_one_metric() -> None:
    told = part(state="degraded", restarts=2, error="ClickHouse refused <b>it</b>")
    text = sidebar.components({"components": [told]}, datetime(2026, 11, 25, 10, 0, 7, tzinfo=UTC))
    for wanted in ("degraded", "◆", "lag 4 · 12 rows/s", "7 s", "2 restarts", "&lt;b&gt;it&lt;/b&gt;"):
        assert wanted in text
    assert "1 of 1 needs attention" in sidebar.overall({"state": "degraded", "components": [told]})
    assert "All running" in sidebar.overall({"state": "running", "components": [part()]})
    assert "Not reached" in sidebar.overall({})


def view(source: str, *, is_open: bool, age: int = 5) -> Facts:
    now = at("2026-11-25 11:41")
    quote = {"at": now - age * 1000, "price": 1294.6, "previous_close": 1282.75, "day_volume": 2_850_000, "day_low": 1282.7,
             "day_high": 1294.75, "currency": "INR"}  # fmt: skip
    status = SessionStatus(is_open, at("2026-11-30 09:15"), at("2026-11-25 15:30") if is_open else None, True)
    market, simulated = market_for(source, "RELIANCE.NS"), source == "simulator"
    return Facts(source, "RELIANCE.NS", market, simulated, False, now, now, 1294.6, (0, 0), quote, status)


def told(**metrics: Any) -> dict[str, Any]:
    return {"state": "running", "components": [{**part(), "name": "producer", "metrics": metrics}]}


def test_the_badge_says_what_the_prices_are() -> None:
    live = view("yahoo", is_open=True)
    assert "<b>LIVE</b> Yahoo · delayed 15 min" in header.first_row(live, told(delay_minutes={"RELIANCE.NS": 15}))
    assert "NSE open" in header.first_row(live, told())
    assert "<b>SIMULATED</b> not market prices" in header.first_row(view("simulator", is_open=True), told())
    assert "<b>REPLAY</b>" in header.first_row(view("replay:ES", is_open=True), told())
    closed = header.first_row(view("yahoo", is_open=False), told())
    assert "LAST SESSION" in closed
    assert "opens Mon 09:15 IST" in closed


def test_closed_is_what_the_source_says_and_the_calendar_only_where_it_does_not() -> None:
    live = view("yahoo", is_open=True)
    assert "NSE closed" in header.first_row(live, told(market_states={"RELIANCE.NS": "CLOSED"}))
    assert "NSE open" in header.first_row(view("yahoo", is_open=False), told(market_states={"RELIANCE.NS": "REGULAR"}))


def test_a_price_that_is_too_old_is_stale_beyond_the_sources_own_delay() -> None:
    old = view("yahoo", is_open=True, age=48)
    assert "stale · 48 s old" in header.first_row(old, told())
    assert "stale" not in header.first_row(old, told(delay_minutes={"RELIANCE.NS": 15}))
    assert "stale" not in header.first_row(view("yahoo", is_open=False, age=4800), told())


def test_price_change_and_the_days_numbers() -> None:
    text = header.second_row(view("yahoo", is_open=True), told())
    for wanted in ("1,294.60", "▲ +11.85", "+0.92 %", "1,282.75", "2.85 M", "INR", "1,294.75"):
        assert wanted in text
