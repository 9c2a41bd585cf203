"""The page itself: one fragment for prices, one for the sidebar; each refreshes by itself, without reloading the page."""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from stockwatch.dashboard import charts, header, notices, numbers, sidebar
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.live import Reader, View
from stockwatch.errors import StockwatchError

STATIC = Path(__file__).with_name("static")
SIDEBAR_SECONDS = 2.0
WAITING_SECONDS = 1.0
LEGEND = '<span class="{}"><i class="rose"></i>rose<i class="fell"></i>fell</span>'
ROOM = 0.65  # a session that begins further to the right has its name where the legend would stand

st.set_page_config(page_title="stockwatch", page_icon=STATIC / "icon.png", layout="wide")


@st.cache_resource
def the_reader() -> Reader:
    """One for all sessions of this process."""
    return Reader(Connection.load(Path(sys.argv[1])))


@st.cache_resource
def the_stage() -> Any:
    """The charts' component; registered once."""
    return st.components.v2.component(
        "stockwatch_stage",
        html='<div class="sw-stage"></div>',
        css=(STATIC / "stage.css").read_text(encoding="utf-8"),
        js=(STATIC / "stage.js").read_text(encoding="utf-8"),
        isolate_styles=False,
    )


def prices(reader: Reader) -> None:
    """Header and charts of the chosen ticker."""
    try:
        source = reader.source()
        tickers = reader.tickers(source)
        chosen, rest = st.columns([3, 8], vertical_alignment="center")
        with chosen:
            symbol = st.selectbox("Ticker", tickers, label_visibility="collapsed", key="ticker", bind="query-params")
        view = reader.view(symbol) if symbol else None
    except StockwatchError as error:
        empty("The store does not answer", f"{error}. Asking again by itself.")
        return
    health = reader.health()
    told = header.producer(health)
    if view is None or view.candles.empty:
        if symbol in notices.unknown(told):
            empty(f"No prices of {symbol}", "Yahoo does not know this ticker, or it is delisted. Choose another one.")
        else:
            empty("Waiting for the first prices", "The page shows them as soon as they are stored.")
        return
    rest.html(header.first_row(view, health))
    top = header.second_row(view, health)
    if view.simulated:
        top += '<div class="sw-stripes"></div><div class="sw-banner" style="margin-top:10px"><b>Simulated prices.</b>'
        top += "They come from the built-in generator, not from the market."
        top += "</div>" if view.is_replay else " Every stored row says “simulator”.</div>"
    st.html(top + notices.html(notices.lines(told)))
    cards = {**pair_of(view, health, reader), "live": live_of(view, health, reader)}
    for card in cards.values():
        card["of"] = f"{view.source} {view.symbol}"  # what the reader's zoom belongs to
    the_stage()(data={"layout": "pair", "cards": {name: cards[name] for name in ("candles", "volume")}}, key="pair")
    the_stage()(data={"layout": "wide", "cards": {"live": cards["live"]}}, key="live")


def empty(title: str, said: str) -> None:
    """A state without charts."""
    st.html(f'<div class="sw-empty" role="status"><b>{escape(title)}</b>{escape(said)}</div>')


def tags_of(view: View, health: dict[str, Any]) -> list[tuple[str, str]]:
    """The marks beside a chart's title."""
    mark = header.mark(view, health)
    tags = [(mark.tag, mark.style)] if mark.tag else []
    return [*tags, ("SIMULATED", "simulated")] if view.simulated and mark.tag != "SIMULATED" else tags


def pair_of(view: View, health: dict[str, Any], reader: Reader) -> dict[str, Any]:
    """Candles and volume."""
    frame, zone, currency = view.candles, view.market.timezone, header.currency_of(view)
    minutes = reader.settings.dashboard.candle_minutes
    mark = "SIMULATED" if view.simulated else ""
    said, traded = [], []
    columns = ("start", "end", "volume", "open", "high", "low", "close")
    newest = int(frame["start"].iloc[-1])
    for start, end, volume, *ohlc in zip(*(frame[name].tolist() for name in columns), strict=True):
        clock = numbers.clock(start, zone)
        forming = " forming" if start == newest and view.now < end else ""
        parts = [f"{name} <b>{numbers.number(value, currency)}</b>" for name, value in zip("OHLC", ohlc, strict=True)]
        said.append(f"<b>{clock}</b>{forming} {' '.join(parts)}")
        traded.append(f"<b>{clock}</b>{forming} <b>{numbers.volume(volume)}</b>")
    rose = int(charts.rises(frame).sum())
    summary = f"{len(frame)} candles of {minutes} minutes of {view.symbol}: {rose} rose, {len(frame) - rose} fell"
    tags = tags_of(view, health)
    legend = LEGEND.format("left" if charts.newest_break(frame) > ROOM else "")
    return {
        "candles": {
            "title": f"{minutes}-minute candles", "tags": tags, "said": said[-1], "hover": said, "legend": legend,
            "summary": summary,
            "figure": charts.candles(frame, zone, currency, mark).to_json(),
        },
        "volume": {
            "title": "Volume", "tags": tags, "said": traded[-1], "hover": traded,
            "summary": f"Volume of the same {len(frame)} candles",
            "figure": charts.volumes(frame, zone, mark).to_json(),
        },
    }  # fmt: skip


def live_of(view: View, health: dict[str, Any], reader: Reader) -> dict[str, Any]:
    """The price line."""
    zone, currency = view.market.timezone, header.currency_of(view)
    stale = header.is_stale(view, health)
    newest = int(view.line["at"].iloc[-1])
    said = f"last price {numbers.clock(newest, zone, seconds=True)} {numbers.zone_name(newest, zone)}"
    if view.is_replay:
        said += f" · {view.source}"
    elif header.is_open(view, health):
        said += f" · refreshes every {reader.settings.dashboard.live_refresh_seconds:g} s"
    else:
        said = "Market closed. Refresh resumes at the open."
    close = header.known(view.quote.get("previous_close"))
    mark = "SIMULATED" if view.simulated else ""
    figure = charts.live(view.line, zone, currency, close, view.session, mark, fresh=not stale)
    return {
        "title": "Live price" if header.is_open(view, health) and not view.is_replay else "Price",
        "tags": [*tags_of(view, health), *([("STALE", "stale")] if stale else [])],
        "said": said,
        "summary": f"Price of {view.symbol}: {numbers.price(header.last_price(view), currency)}",
        "figure": figure.to_json(),
    }


def registry(reader: Reader) -> None:
    """The sidebar's content."""
    health = reader.health()
    chosen = st.session_state.get("ticker")
    age = None
    try:
        view = reader.view(chosen) if chosen else None
        due = view is not None and not view.is_replay and header.is_open(view, health) and bool(view.quote)
        age = sidebar.delay(header.age_seconds(view)) if view and due else sidebar.delay(None, "no price is due")
    except StockwatchError as error:
        age = sidebar.delay(None, str(error))
    st.html(f'<div class="sw-side">{sidebar.overall(health)}{age}{sidebar.components(health)}</div>')


def power_bi(url: str) -> None:
    """The report, or how to connect one. The address was checked with the settings."""
    state = "connected" if url else "not connected"
    st.html(f'<div class="sw-title"><h2>Power BI report</h2><span>{state}</span></div>')
    if url:
        st.iframe(url, height=480)
        st.link_button("Open in Power BI", url)
        return
    st.html(
        '<div class="sw-powerbi"><div><b>No report connected yet</b>Publish a report in Power BI, then give its embed link to '
        "stockwatch. It will show here.<ol><li>In Power BI: File, Embed report, Website or portal</li><li>Copy the link into "
        "<code>powerbi_url</code> under <code>[dashboard]</code> in settings.toml</li>"
        "<li>Start stockwatch again</li></ol></div></div>"
    )


def main() -> None:
    """One run of the script: a viewer's page."""
    reader = the_reader()
    page = reader.settings.dashboard
    st.html(STATIC / "page.css")
    with st.sidebar:
        st.html('<div class="sw-logo">stockwatch</div>')
        st.fragment(registry, run_every=SIDEBAR_SECONDS)(reader)
    st.fragment(prices, run_every=page.live_refresh_seconds)(reader)
    power_bi(page.powerbi_url)


main()
