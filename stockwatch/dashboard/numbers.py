"""Numbers and times as people of a market write them. Times come as ms since the epoch, UTC."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

SIGNS = {"INR": "₹", "USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
MINUS = "\N{MINUS SIGN}"


def decimals(currency: str) -> int:
    """Yen and won have no smaller unit."""
    return 0 if currency in ("JPY", "KRW") else 2


def sign(currency: str) -> str:
    """The currency's sign, or its code and a space."""
    return SIGNS.get(currency, f"{currency} " if currency else "")


def number(value: float, currency: str, places: int | None = None) -> str:
    """Grouped digits: 1,42,350.00 for rupees, 142,350.00 else; a true minus sign."""
    text = f"{abs(value):.{decimals(currency) if places is None else places}f}"
    whole, dot, rest = text.partition(".")
    if currency == "INR" and len(whole) > 3:
        head, groups = whole[:-3], [whole[-3:]]
        while head:
            groups.insert(0, head[-2:])
            head = head[:-2]
        whole = ",".join(groups)
    else:
        whole = f"{int(whole):,}"
    return (MINUS if value < 0 else "") + whole + dot + rest


def price(value: float, currency: str) -> str:
    """With the currency's sign."""
    return f"{MINUS if value < 0 else ''}{sign(currency)}{number(abs(value), currency)}"


def change(value: float, places: int = 2) -> str:
    """Always with its sign."""
    return ("+" if value >= 0 else MINUS) + f"{abs(value):,.{places}f}"


def volume(value: float) -> str:
    """1.5 K, 15 K, 2.85 M: the same in every currency."""
    for size, unit, places in ((1e9, "B", 2), (1e6, "M", 2), (1e3, "K", 1)):
        if value >= size:
            return f"{value / size:.{places if value < 10 * size else 0}f} {unit}"
    return f"{value:.0f}"


def clock(at_ms: int, zone: ZoneInfo, *, seconds: bool = False) -> str:
    """HH:MM in the exchange's time."""
    return datetime.fromtimestamp(at_ms / 1000, zone).strftime("%H:%M:%S" if seconds else "%H:%M")


def day(at_ms: int, zone: ZoneInfo, *, year: bool = False) -> str:
    """Thu 26 Nov, or Thu 26 Nov 2026."""
    moment = datetime.fromtimestamp(at_ms / 1000, zone)
    return f"{moment:%a} {moment.day} {moment:%b}" + (f" {moment.year}" if year else "")


def zone_name(at_ms: int, zone: ZoneInfo) -> str:
    """IST, EST, UTC; the offset where a zone has no letters."""
    return datetime.fromtimestamp(at_ms / 1000, zone).tzname() or "UTC"


def age(seconds: float) -> str:
    """3 s, 4 min, 2 h, 3 d."""
    for size, unit in ((172_800, "d"), (7_200, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds / (86_400 if unit == 'd' else 3_600 if unit == 'h' else 60):.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
