"""The rules of settings.toml as they hold for one symbol."""

from __future__ import annotations

from typing import NamedTuple

from stockwatch.settings.sections import Alerts

MINUTE_MS = 60_000


class Move(NamedTuple):
    """By `percent` % or more within the window, up or down."""

    text: str
    percent: float


class Level(NamedTuple):
    """Told when the price crosses it, never while it stays there. side: 1 above, -1 below."""

    text: str
    price: float
    side: int

    def is_crossed(self, before: float, now: float) -> bool:
        """Whether a price that came after `before` is past the level and that one was not. At the level is not past it."""
        return self.side * before <= self.side * self.price < self.side * now


class Rules(NamedTuple):
    """What holds for one symbol. window, cooldown: ms."""

    moves: tuple[Move, ...]
    levels: tuple[Level, ...]
    window: int
    cooldown: int


def rules_for(settings: Alerts, symbol: str) -> Rules:
    """A symbol's rules, each once. Its own move_percent takes the place of [alerts] move_percent; case is not looked at."""
    mine = [rule for rule in settings.rules if not rule.symbol or rule.symbol.casefold() == symbol.casefold()]
    own = any(rule.symbol and rule.move_percent is not None for rule in mine)
    percents = [*([] if own else [settings.move_percent]), *(rule.move_percent for rule in mine if rule.move_percent is not None)]
    minutes = f"{settings.window_minutes:g}"
    moves = [Move(f"move {percent:.12g}% in {minutes} min", percent) for percent in percents]
    levels = [Level(f"above {rule.above:.12g}", rule.above, 1) for rule in mine if rule.above is not None]
    levels += [Level(f"below {rule.below:.12g}", rule.below, -1) for rule in mine if rule.below is not None]
    window, cooldown = (round(length * MINUTE_MS) for length in (settings.window_minutes, settings.cooldown_minutes))
    return Rules(tuple(dict.fromkeys(moves)), tuple(dict.fromkeys(levels)), max(window, 1), cooldown)
