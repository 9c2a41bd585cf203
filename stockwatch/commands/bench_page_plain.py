"""What `bench page` stands beside: the page as Streamlit's and plotly's first pages show it, a fragment that draws each second.

The same store, the same reading, the same figures (so what differs is how they come to the screen), and no more than these.
    python -m streamlit run bench_page_plain.py -- CONNECTION_FILE
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

from stockwatch.dashboard import charts, header
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.reader import Reader


@st.cache_resource
def the_reader() -> Reader:
    """One for all viewers."""
    return Reader(Connection.load(Path(sys.argv[1])))


@st.fragment(run_every=1.0)
def drawn(symbol: str) -> None:
    """Price, candles, volume, line."""
    reader = the_reader()
    facts = reader.facts(symbol)
    if facts is None:
        st.write("No prices yet")
        return
    zone, currency = facts.market.timezone, header.currency_of(facts)
    page = reader.settings.dashboard
    frame = reader.candles_of(facts, page.candle_minutes, page.candle_count)
    st.metric("Price", f"{facts.price:,.2f}")
    left, right = st.columns(2)
    left.plotly_chart(charts.as_json(charts.candles(frame, zone, currency)), key="candles")
    right.plotly_chart(charts.as_json(charts.volumes(frame, zone)), key="volume")
    line = charts.live(reader.line_of(facts), zone, currency, None, facts.session)
    st.plotly_chart(charts.as_json(line), key="line")


st.set_page_config(layout="wide")
drawn(str(st.selectbox("Ticker", the_reader().settings.market.tickers)))
