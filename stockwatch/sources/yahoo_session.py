"""One curl_cffi session for all of yfinance: bulk quotes, and a ticker's bars. yfinance is imported only in yahoo_* modules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import curl_cffi
import curl_cffi.requests
import pandas as pd
import yfinance
from curl_cffi.requests.exceptions import RequestException
from yfinance.data import YfData
from yfinance.exceptions import YFException, YFRateLimitError, YFTickerMissingError

from stockwatch.errors import SourceError
from stockwatch.sessions import market_of
from stockwatch.settings import Settings
from stockwatch.sources.gate import Gate

QUOTE_URL = "https://query1.finance.yahoo.com/v7/finance/quote"
CHART_PATH = "/v8/finance/chart/"
CHUNK = 50  # symbols in one request
CALL_SECONDS = 8.0  # yfinance's own timeout does not cover cookie and crumb; the session clamps every call
QUOTES, BARS = "quotes", "bars"  # kinds of request
LIMITED = "rate limited by Yahoo (429)"


class _Session(curl_cffi.requests.Session[Any]):
    """Counts requests, and lets none take longer than CALL_SECONDS."""

    charts, others = 0, 0

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        kwargs["timeout"] = min(kwargs.get("timeout") or CALL_SECONDS, CALL_SECONDS)
        if CHART_PATH in url:
            self.charts += 1
        else:
            self.others += 1
        answer = super().request(method, url, *args, **kwargs)
        if CHART_PATH in url and answer.status_code >= 500:
            answer.raise_for_status()  # yfinance would say that it is not JSON
        return answer


class YahooSession:
    """Yahoo through yfinance's own code. Its calls may hang for CALL_SECONDS a request, so they belong in daemon threads."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        market = settings.market
        verify: bool | str = str(settings.resolve(market.ca_file)) if market.ca_file else True
        self._session = _Session(impersonate="chrome", verify=verify)  # type: ignore[arg-type]  # its stub knows no path; curl takes one
        yfinance.set_tz_cache_location(str(settings.data_dir / "yfinance"))
        yfinance.config.debug.hide_exceptions = False  # else errors become empty frames
        yfinance.config.network.proxy = market.proxy or None
        self._data: Any = None
        self._tickers: dict[str, yfinance.Ticker] = {}
        self.gate = Gate(clock)

    @property
    def requests(self) -> dict[str, int]:
        """How many went over the network: bars, and all others (quotes, and the cookie and crumb that they need)."""
        return {"requests": self._session.others, "bar_requests": self._session.charts}

    def quotes(self, symbols: tuple[str, ...]) -> list[dict[str, Any]]:
        """One request for up to 50 symbols; what Yahoo does not know is absent. Raises SourceError with a plain reason."""
        found: list[dict[str, Any]] = []
        with self._asking(QUOTES):  # all of them: an answer to the first fifty tells nothing of a refusal to the next
            self._data = self._data or YfData(session=self._session)
            for start in range(0, len(symbols), CHUNK):
                asked = {"symbols": ",".join(symbols[start : start + CHUNK]), "formatted": "false"}
                result = self._data.get_raw_json(QUOTE_URL, params=asked)["quoteResponse"]["result"]
                if not isinstance(result, list) or not all(isinstance(entry, dict) for entry in result):
                    raise TypeError("quotes are not a list of objects")
                found += result
        return found

    def bars(self, symbol: str, start_ms: int, end_ms: int | None, minutes: int) -> pd.DataFrame:
        """Bars of `minutes` that start in [start, end), None: until now, the forming one too; as Ticker.history gives them.

        Index: their start, tz-aware; Open, High, Low, Close, Volume. Empty where Yahoo has none. Raises SourceError.
        """
        if symbol not in self._tickers:
            self._tickers[symbol] = yfinance.Ticker(symbol, session=self._session)
            # Else yfinance asks for it, two requests more for a ticker that is unknown. It is only used to read our own times.
            self._tickers[symbol]._tz = str(market_of(symbol).timezone)
        ticker = self._tickers[symbol]
        with self._asking(BARS):
            try:
                found: pd.DataFrame = ticker.history(
                    start=pd.Timestamp(start_ms, unit="ms", tz="UTC"),
                    end=None if end_ms is None else pd.Timestamp(end_ms, unit="ms", tz="UTC"),
                    interval=f"{minutes}m",
                    auto_adjust=False,
                    actions=False,
                )
                return found
            except YFTickerMissingError:  # no such ticker, or nothing in that time
                return pd.DataFrame()
            except RequestException as error:
                if _status(error) == 404:
                    return pd.DataFrame()
                raise

    @contextmanager
    def _asking(self, kind: str) -> Iterator[None]:
        """One question: not asked while the gate is shut, and its outcome moves the gate. Every trouble leaves as SourceError.

        A wrong answer about one symbol's bars says nothing of the network, so it does not hold back live prices.
        """
        begun = self.gate.check()
        failed = SourceError if kind == BARS else self.gate.failed
        try:
            yield
        except YFRateLimitError as error:
            raise self.gate.limited(kind, LIMITED) from error
        except RequestException as error:
            raise self._named(kind, error, failed) from error
        except YFException as error:
            raise failed(f"Yahoo refuses: {str(error)[:120]}") from error
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise failed("Yahoo's answer is not understood") from error
        self.gate.answered(kind, begun)

    def _named(self, kind: str, error: RequestException, failed: Callable[[str], SourceError]) -> SourceError:
        status = _status(error)
        if status == 429:
            return self.gate.limited(kind, LIMITED)
        if status in (401, 403):  # the cookie or the crumb; more requests make it worse
            return self.gate.limited(kind, f"Yahoo refuses its own crumb ({status})")
        if status:
            return failed(f"Yahoo answers with an error ({status})")
        if "timed out" in str(error).lower():
            return self.gate.failed(f"Yahoo does not answer within {CALL_SECONDS:g} s")
        return self.gate.failed("Yahoo cannot be reached")

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()


def _status(error: RequestException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return int(status) if status else None
