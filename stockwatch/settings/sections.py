"""The sections of settings.toml: every key with its type, its default and its bounds."""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

EMBEDDED = "embedded"
CANDLE_MINUTES = (1, 2, 5, 10, 15, 30, 60)
MAX_SYMBOL_LENGTH = 32  # as a tick has it
MIN_PASSWORD, MAX_PASSWORD = 8, 1000  # characters of the page's
SourceName = Literal["auto", "yahoo", "yahoo-stream", "simulator", "replay"]
DEFAULT_TICKERS = ("RELIANCE.NS", "TCS.NS", "INFY.NS", "HDFCBANK.NS", "ICICIBANK.NS", "SBIN.NS", "AAPL")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _tickers(values: tuple[str, ...]) -> tuple[str, ...]:
    clean = tuple(value.strip().upper() for value in values)
    for value in clean:
        if not re.fullmatch(rf"[A-Z0-9^][A-Z0-9.^=\-&]{{0,{MAX_SYMBOL_LENGTH - 1}}}", value):
            raise ValueError(f"{value!r} is no ticker: 1 to {MAX_SYMBOL_LENGTH} letters, digits and .-=^&")
        if clean.count(value) > 1:
            raise ValueError(f"{value} is named twice")
    return clean


def _bootstrap(value: str) -> str:
    if value != EMBEDDED and not re.fullmatch(r"[^\s,:]+:\d{1,5}(,[^\s,:]+:\d{1,5})*", value):
        raise ValueError('must be "embedded" or "host:port", several with commas')
    if value != EMBEDDED and any(int(address.rpartition(":")[2]) > 65535 for address in value.split(",")):
        raise ValueError("a port is at most 65535")
    return value


def _split(value: str) -> SplitResult:
    """The parts of an address. urlsplit's own words would show half of a password that has a [, / or # in it."""
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError("is no address; in a password write [ as %5B and ] as %5D") from None
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("its port is no number up to 65535; in a password write / as %2F, # as %23 and @ as %40") from None
    return parts


def _clickhouse_url(value: str) -> str:
    parts = _split(value)
    if value != EMBEDDED and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError('must be "embedded" or http(s)://user:password@host:port')
    return value


def _redis_url(value: str) -> str:
    parts = _split(value)
    if value and (parts.scheme not in ("redis", "rediss") or not parts.hostname):
        raise ValueError("must be empty or redis://user:password@host:port/number (rediss:// for TLS)")
    if parts.query or parts.fragment or not re.fullmatch(r"(/\d{0,5})?", parts.path):
        raise ValueError("after the host there may only be the database's number, as in redis://host:6379/0")
    return value


def _powerbi(value: str) -> str:
    parts = _split(value)
    if value and not (parts.scheme == "https" and parts.netloc == "app.powerbi.com" and parts.path in ("/view", "/reportEmbed")):
        raise ValueError("must be an https://app.powerbi.com/view or /reportEmbed address, or empty")
    return value


def _timezone(value: str) -> str:
    if value not in available_timezones():
        near = difflib.get_close_matches(value, available_timezones(), n=1)
        raise ValueError("is no time zone" + (f"; did you mean {near[0]}?" if near else "; use a name like Asia/Kolkata"))
    return value


def _candle_minutes(value: int) -> int:  # no Literal: from the environment it comes as text
    if value not in CANDLE_MINUTES:
        raise ValueError("must be 1, 2, 5, 10, 15, 30 or 60")
    return value


def _host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.\-]{1,253}|[0-9A-Fa-f:.]{2,45}", value):
        raise ValueError('must be an address of this machine, or "0.0.0.0" for all of them; no port, no http://')
    return value


def _host_names(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not re.fullmatch(r"[A-Za-z0-9._\-]{1,253}|[0-9A-Fa-f:.]{2,45}", value):
            raise ValueError(f"{value!r} is no name of a host: no port, no http://, no *")
    return values


def _page_password(value: str) -> str:
    if value and not MIN_PASSWORD <= len(value) <= MAX_PASSWORD:
        raise ValueError(f"must have {MIN_PASSWORD} to {MAX_PASSWORD} characters: others can guess at it")
    return value


def _scheme(*allowed: str) -> AfterValidator:
    def check(value: str) -> str:
        parts = _split(value)
        if value and (parts.scheme not in allowed or not parts.hostname):
            raise ValueError(f"must be empty or start with {' or '.join(scheme + '://' for scheme in allowed)}")
        return value

    return AfterValidator(check)


Port = Annotated[int, Field(ge=0, le=65535)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Market(_Section):
    """Where prices come from."""

    source: SourceName = "auto"
    tickers: Annotated[tuple[str, ...], Field(min_length=1, max_length=200), AfterValidator(_tickers)] = DEFAULT_TICKERS
    poll_seconds: Annotated[float, Field(ge=1, le=3600)] = 10
    backfill_days: Annotated[int, Field(ge=0, le=60)] = 5
    replay_file: str = ""
    replay_speed: Annotated[float, Field(ge=0, le=100_000)] = 1.0
    replay_timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    stream_url: Annotated[str, _scheme("ws", "wss")] = ""
    proxy: Annotated[str, _scheme("http", "https", "socks5", "socks5h")] = ""
    ca_file: str = ""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 7
    ticks_per_second: Annotated[float, Field(gt=0, le=1000)] = 1


class Kafka(_Section):
    """The broker: embedded, or an address."""

    bootstrap_servers: Annotated[str, AfterValidator(_bootstrap)] = EMBEDDED
    embedded_memory_mb: Annotated[int, Field(ge=48, le=65536)] = 96
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")] = "stock-prices"
    partitions: Annotated[int, Field(ge=1, le=1000)] = 3
    group_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")] = "stockwatch"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    sasl_username: str = ""
    sasl_password: str = Field("", repr=False)
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    ssl_check_hostname: bool = True

    @model_validator(mode="after")
    def _sasl_is_whole(self) -> Kafka:
        if self.security_protocol.startswith("SASL") and not (self.sasl_mechanism and self.sasl_username):
            raise ValueError("security_protocol: SASL needs sasl_mechanism, sasl_username and sasl_password")
        return self


class ClickHouse(_Section):
    """The column store: embedded, or an address."""

    url: Annotated[str, AfterValidator(_clickhouse_url)] = Field(EMBEDDED, repr=False)
    database: Identifier = "stockwatch"
    cluster: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = ""
    retention_days: Annotated[int, Field(ge=1, le=36500)] = 30
    http_port: Port = 0

    @model_validator(mode="after")
    def _a_cluster_has_an_address(self) -> ClickHouse:
        if self.cluster and self.url == EMBEDDED:
            raise ValueError("cluster is set, so clickhouse.url must be the address of one of its servers, not embedded")
        return self


class Dashboard(_Section):
    """The page."""

    port: Port = 8501
    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    password: Annotated[str, AfterValidator(_page_password)] = Field("", repr=False)
    allowed_hosts: Annotated[tuple[str, ...], AfterValidator(_host_names)] = ()
    live_refresh_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 10
    candle_refresh_seconds: Annotated[float, Field(ge=0.1, le=86400)] = 300
    candle_minutes: Annotated[int, AfterValidator(_candle_minutes)] = 5
    candle_count: Annotated[int, Field(ge=1, le=1000)] = 50
    powerbi_url: Annotated[str, AfterValidator(_powerbi)] = ""

    @model_validator(mode="after")
    def _a_room_needs_a_password(self) -> Dashboard:
        if not is_loopback(self.host) and not self.password:
            raise ValueError(f"host {self.host} opens the page to others, so dashboard.password must be set")
        return self


class AlertRule(_Section):
    """One [[alerts.rules]] entry; without a symbol it holds for all."""

    symbol: Annotated[str, Field(max_length=MAX_SYMBOL_LENGTH), AfterValidator(str.strip)] = ""
    above: Annotated[float, Field(gt=0)] | None = None
    below: Annotated[float, Field(gt=0)] | None = None
    move_percent: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _says_when(self) -> AlertRule:
        if self.above is None and self.below is None and self.move_percent is None:
            raise ValueError("needs one or more of above, below and move_percent")
        return self


class Alerts(_Section):
    """Sudden moves."""

    move_percent: Annotated[float, Field(gt=0, le=100)] = 1.0
    window_minutes: Annotated[float, Field(gt=0, le=1440)] = 5
    cooldown_minutes: Annotated[float, Field(ge=0, le=1440)] = 15
    webhook_url: Annotated[str, _scheme("http", "https")] = Field("", repr=False)
    webhook_secret: str = Field("", repr=False)
    rules: Annotated[tuple[AlertRule, ...], Field(max_length=1000)] = ()


class Cache(_Section):
    """The optional Redis."""

    redis_url: Annotated[str, AfterValidator(_redis_url)] = Field("", repr=False)


class Supervisor(_Section):
    """The process itself."""

    health_port: Port = 8600
    data_dir: Annotated[str, Field(min_length=1)] = ".stockwatch"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
