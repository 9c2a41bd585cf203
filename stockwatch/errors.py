"""The error tree: what can go wrong, and the exit code that tells it to the shell.

A message is one plain line that names what, where and what is allowed. It never holds a secret.
"""

from __future__ import annotations


class StockwatchError(Exception):
    """Anything stockwatch names itself. `exit_code` is what the process ends with when it reaches the top."""

    exit_code = 1


class UsageError(StockwatchError):
    """A bad setting or argument: nothing was started."""

    exit_code = 2


class AlreadyRunningError(StockwatchError):
    """Another instance owns this data folder."""

    exit_code = 3


class NotRunningError(StockwatchError):
    """No instance owns this data folder (only `status` asks)."""

    exit_code = 3


class UnavailableError(StockwatchError):
    """Something that is needed cannot be had or reached, for good: retrying would not help."""


class ComponentFailedError(StockwatchError):
    """A component's life has ended or must be ended; the supervisor decides what follows."""


class RetryableError(StockwatchError):
    """A named trouble that may pass: the worker says `degraded` and tries again.

    `retry_after`: seconds that the other side asked to be left alone, or None for the worker's own back-off.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class BrokerError(RetryableError):
    """Kafka cannot be reached or refuses for now."""


class StoreError(RetryableError):
    """ClickHouse cannot be reached or refuses for now."""


class SourceError(RetryableError):
    """The price source gives no prices for now (rate limit, network, its own error)."""


class InvalidMessageError(StockwatchError):
    """A message that is not a valid Tick or Bar; the text is the reason that travels with the dead letter."""
