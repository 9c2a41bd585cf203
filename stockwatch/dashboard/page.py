"""The page itself: the ticker's dropdown, places that are filled from outside, and the component that fills them.

The script runs once a viewer and after each choice; everything that moves is pushed (live.py) and drawn by static/stage.js.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from stockwatch.dashboard import log, shell
from stockwatch.dashboard.reader import Reader
from stockwatch.dashboard.socket import the_reader
from stockwatch.errors import StockwatchError

STATIC = Path(__file__).with_name("static")
WAITING_SECONDS = 2.0

st.set_page_config(page_title="stockwatch", page_icon=STATIC / "icon.png", layout="wide")


@st.cache_resource
def the_stage() -> Any:
    """The charts' component; registered once."""
    css = (STATIC / "stage.css").read_text(encoding="utf-8")
    return st.components.v2.component(
        "stockwatch_stage", html='<div class="sw-stage"></div>', css=css, js=shell.take_over(), isolate_styles=False
    )


def place(name: str) -> None:
    """Where the stage puts what it is told."""
    st.html(f'<div data-sw="{name}"></div>')


def tickers(reader: Reader) -> list[str]:
    """To choose from; empty while a recording has none yet, or the store does not answer, which is said."""
    try:
        found = reader.tickers(reader.source())
    except StockwatchError as error:
        empty("The store does not answer", f"{error}. Asking again by itself.")
        return []
    if not found:
        empty("Waiting for the first prices", "The page shows them as soon as they are stored.")
    return found


def empty(title: str, said: str) -> None:
    """A state without charts."""
    st.html(f'<div class="sw-empty" role="status"><b>{escape(title)}</b>{escape(said)}</div>')


def try_again(reader: Reader) -> None:
    """Run the page anew once there is something to choose from."""
    try:
        there = bool(reader.tickers(reader.source()))
    except StockwatchError:
        return
    if there:
        st.rerun()


def charts(reader: Reader, symbols: list[str]) -> None:
    """Dropdown, header, charts."""
    page = reader.settings.dashboard
    chosen, rest = st.columns([3, 8], vertical_alignment="center")
    with chosen:
        symbol = st.selectbox("Ticker", symbols, label_visibility="collapsed", key="ticker", bind="query-params")
    with rest:
        place("first")
    place("top")
    data = shell.stage_data(reader, symbols, symbol)
    the_stage()(data=data, key="stage", on_pick_change=picked)
    left, right = st.columns([5, 3])
    with left:
        st.html('<div class="sw-title"><h2>Watchlist</h2><span>a click shows the ticker above</span></div>')
        place("list")
    with right:
        st.html('<div class="sw-title"><h2>Alerts</h2><span data-sw="alert-rule"></span></div>')
        place("alerts")
    left, right = st.columns([5, 3])
    with left:
        power_bi(page.powerbi_url)
    with right:
        st.html('<div class="sw-title"><h2>Export</h2><span data-sw="export-of"></span></div>')
        place("export")


def picked() -> None:
    """A ticker was chosen by key or click: the dropdown follows."""
    symbol = st.session_state["stage"].get("pick")
    if symbol:
        st.session_state["ticker"] = symbol


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
        "<li>Start stockwatch again</li></ol>"
        '<a href="/stockwatch/powerbi.pbids" download>Open the stored prices in Power BI Desktop</a></div></div>'
    )


def main() -> None:
    """One run of the script: a viewer's page."""
    reader = the_reader()
    st.html(STATIC / "page.css")
    place("lost")
    place("bar")
    with st.sidebar:
        st.html('<div class="sw-logo">stockwatch</div>')
        place("side")
        st.html(
            '<div class="sw-doing"><button type="button" data-act="present">Presenter mode</button>'
            '<button type="button" data-act="keys">Keys</button></div>'
        )
        if log.is_for(st.context.ip_address or "127.0.0.1"):  # None: this machine
            st.html(f'<a class="sw-log" href="{log.ROUTE}#end" target="_blank">Open the log</a>')
    if symbols := tickers(reader):
        charts(reader, symbols)
    else:
        st.fragment(try_again, run_every=WAITING_SECONDS)(reader)
        power_bi(reader.settings.dashboard.powerbi_url)


main()
