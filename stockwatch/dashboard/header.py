"""The header: what the source is, session, age, price, change and the day's numbers. Pure functions to HTML."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import Any

from stockwatch.dashboard import numbers, reader
from stockwatch.dashboard.facts import Facts

STALE_SECONDS = 30.0


@dataclass(frozen=True)
class Mark:
    """What the page says the prices are: a word, what follows it, a style; and the tag on each chart ("" for live)."""

    word: str
    said: str
    style: str
    tag: str


def is_open(view: Facts, health: dict[str, Any]) -> bool:
    """The source's own market state; the calendar only where that is missing."""
    said = producer(health).get("market_states", {}).get(view.symbol) if view.source == "yahoo" else None
    return said == "REGULAR" if said else view.status.is_open


def mark(view: Facts, health: dict[str, Any]) -> Mark:
    """SIMULATED, REPLAY, LAST SESSION or LIVE."""
    zone, newest = view.market.timezone, view.at
    if view.is_replay:
        said = " · simulated, not market prices" if view.simulated else ""
        return Mark("REPLAY", numbers.day(newest, zone, year=True) + said, "replay", "REPLAY")
    if view.simulated:
        return Mark("SIMULATED", "not market prices", "simulated", "SIMULATED")
    if not is_open(view, health):
        return Mark("LAST SESSION", f"{numbers.day(newest, zone)} · Yahoo", "last", "LAST SESSION")
    minutes = producer(health).get("delay_minutes")
    delay = minutes.get(view.symbol, 0) if isinstance(minutes, dict) else minutes or 0
    return Mark("LIVE", f"Yahoo · delayed {delay:g} min" if delay else "Yahoo", "live", "")


def age_seconds(view: Facts) -> float:
    """How old the newest price is."""
    return max((view.now - view.at) / 1000, 0.0)


def is_stale(view: Facts, health: dict[str, Any]) -> bool:
    """Older than it should be in an open session, Yahoo's own delay and two polls allowed for."""
    if view.is_replay or not is_open(view, health):
        return False
    minutes = producer(health).get("delay_minutes")
    delay = minutes.get(view.symbol, 0) if isinstance(minutes, dict) else minutes or 0
    return age_seconds(view) > STALE_SECONDS + float(delay) * 60


def first_row(view: Facts, health: dict[str, Any]) -> str:
    """Session, badge, age."""
    zone, market = view.market.timezone, view.market
    if view.is_replay and producer(health).get("ended"):
        session = f"○ <b>recording ended</b> {numbers.clock(view.at, zone)} {_zone(view)}"
    elif market.calendar is None and is_open(view, health):
        session = f'<span class="up">●</span> <b>{escape(market.code)}</b> · round the clock'
    elif is_open(view, health):
        closes = f" · closes {numbers.clock(view.status.closes_at, zone)} {_zone(view)}" if view.status.closes_at else ""
        session = f'<span class="up">●</span> <b>{escape(market.code)} open</b>{closes}'
    else:
        opens = view.status.opens_at
        when = f" · opens {numbers.day(opens, zone).split()[0]} {numbers.clock(opens, zone)} {_zone(view)}" if opens else ""
        session = f"○ <b>{escape(market.code)} closed</b>{when}"
    if not view.status.holidays_known:
        session += " · holidays unknown"
    badge = mark(view, health)
    age = age_seconds(view)
    if is_stale(view, health):
        said = f'<span class="sw-stale">◆ stale · {numbers.age(age)} old</span>'
    else:
        newest = view.at
        closed = view.is_replay or not is_open(view, health)
        said = f"last price {numbers.clock(newest, zone)} {_zone(view)}" if closed else f"updated {numbers.age(age)} ago"
        said = f'<span class="sw-age"{"" if closed else " data-since"}>{said}</span>'
    return (
        f'<div class="sw-row"><span class="sw-session">{session}</span>'
        f'<span class="sw-badge {badge.style}"><b>{badge.word}</b> {escape(badge.said)}</span>{said}</div>'
    )


def second_row(view: Facts, health: dict[str, Any]) -> str:
    """Price and change, and the day's numbers at the right."""
    currency, last = currency_of(view), last_price(view)
    old = " sw-old" if is_stale(view, health) else ""
    price = f'<span class="sw-price{old}"><i>{escape(numbers.sign(currency).strip())}</i>{numbers.number(last, currency)}</span>'
    close = known(view.quote.get("previous_close"))
    change = ""
    if close:
        difference = last - close
        arrow, style = ("▲", "up") if difference >= 0 else ("▼", "down")
        moved = f"{numbers.change(difference, numbers.decimals(currency))}&ensp;{numbers.change(difference / close * 100)} %"
        change = f'<span class="sw-change {style}">{arrow} {moved}<small>vs previous close</small></span>'
    low, high = known(view.quote.get("day_low")), known(view.quote.get("day_high"))
    stats = [("Previous close", numbers.number(close, currency))] if close else []
    stats.append(("Volume", numbers.volume(float(view.quote.get("day_volume") or 0))))
    stats += [("Currency", currency)] if currency else []
    if low and high:
        place = 0 if high <= low else (last - low) / (high - low) * 36
        ends = [numbers.number(end, currency) for end in (low, high)]
        bar = f'<span class="sw-range"><i style="left:{min(max(place, 0), 36):.0f}px"></i></span>'
        stats.append(("Day range", f"{ends[0]}{bar}{ends[1]}"))
    told = "".join(f'<span data-stat="{name}"><small>{name}</small><b>{value}</b></span>' for name, value in stats)
    return f'<div class="sw-head">{price}{change}<span class="sw-stats">{told}</span></div>'


def title(view: Facts) -> str:
    """Of the browser's tab."""
    mark = "SIMULATED " if view.simulated else ""
    return f"{mark}{view.symbol} {numbers.price(view.price, currency_of(view))} · stockwatch"


def currency_of(view: Facts) -> str:
    """The tick's own currency, else the exchange's."""
    said = view.quote.get("currency")
    return said if isinstance(said, str) and said else view.market.currency


def last_price(view: Facts) -> float:
    """The newest price."""
    return view.price


def known(value: Any) -> float | None:
    """A number, or None for NaN and absent."""
    return float(value) if value is not None and not math.isnan(value) else None


def _zone(view: Facts) -> str:
    return numbers.zone_name(view.now, view.market.timezone)


def producer(health: dict[str, Any]) -> dict[str, Any]:
    """The producer's metrics; none without a producer."""
    return reader.producer(health) or {}
