"""One curl_cffi session for all of yfinance, and the bulk quote request. yfinance is imported only in yahoo_* modules."""

from __future__ import annotations

from typing import Any

import curl_cffi
import curl_cffi.requests
import yfinance
from curl_cffi.requests.exceptions import RequestException
from yfinance.data import YfData
from yfinance.exceptions import YFException, YFRateLimitError

from stockwatch.errors import SourceError
from stockwatch.settings import Settings

QUOTE_URL = "https://query1.finance.yahoo.com/v7/finance/quote"
CHUNK = 50  # symbols in one request
CALL_SECONDS = 8.0  # yfinance's own timeout does not cover cookie and crumb; the session clamps every call


class RateLimitedError(SourceError):
    """429: Yahoo wants to be left alone."""


class _Session(curl_cffi.requests.Session[Any]):
    """Counts requests, and lets none take longer than CALL_SECONDS."""

    quotes = 0

    def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
        kwargs["timeout"] = min(kwargs.get("timeout") or CALL_SECONDS, CALL_SECONDS)
        if url.startswith(QUOTE_URL):
            self.quotes += 1
        return super().request(method, url, *args, **kwargs)


class YahooSession:
    """Yahoo through yfinance's own code."""

    def __init__(self, settings: Settings) -> None:
        market = settings.market
        verify: bool | str = str(settings.resolve(market.ca_file)) if market.ca_file else True
        self._session = _Session(impersonate="chrome", verify=verify)  # type: ignore[arg-type]  # its stub knows no path; curl takes one
        yfinance.set_tz_cache_location(str(settings.data_dir / "yfinance"))
        yfinance.config.debug.hide_exceptions = False  # else errors become empty frames
        yfinance.config.network.proxy = market.proxy or None
        self._data: Any = None

    @property
    def requests(self) -> int:
        """How many quote requests were made."""
        return self._session.quotes

    def quotes(self, symbols: tuple[str, ...]) -> list[dict[str, Any]]:
        """One request for up to 50 symbols; what Yahoo does not know is absent. Raises SourceError with a plain reason."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(symbols), CHUNK):
            asked = {"symbols": ",".join(symbols[start : start + CHUNK]), "formatted": "false"}
            try:
                self._data = self._data or YfData(session=self._session)
                answer = self._data.get_raw_json(QUOTE_URL, params=asked)
                result = answer["quoteResponse"]["result"]
                if not isinstance(result, list) or not all(isinstance(entry, dict) for entry in result):
                    raise TypeError("quotes are not a list of objects")
                found += result
            except YFRateLimitError as error:
                raise RateLimitedError("rate limited by Yahoo (429)") from error
            except RequestException as error:
                raise _named(error) from error
            except YFException as error:
                raise SourceError(f"Yahoo refuses: {str(error)[:120]}") from error
            except (ValueError, KeyError, TypeError) as error:
                raise SourceError("Yahoo's answer is not understood") from error
        return found

    def close(self) -> None:
        """Give the connections back."""
        self._session.close()


def _named(error: RequestException) -> SourceError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 429:
        return RateLimitedError("rate limited by Yahoo (429)")
    if status:
        return SourceError(f"Yahoo answers with an error ({status})")
    if "timed out" in str(error).lower():
        return SourceError(f"Yahoo does not answer within {CALL_SECONDS:g} s")
    return SourceError("Yahoo cannot be reached")
