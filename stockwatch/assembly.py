"""Settings → the ordered components. The only place that asks "embedded or external?"."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stockwatch.component import Component, KafkaAddress, StoreAddress
from stockwatch.component.serving import listen
from stockwatch.consumer import Consumer
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.process import DashboardProcess
from stockwatch.engines.compose import compose_up
from stockwatch.engines.external import ExternalClickHouse, ExternalKafka, KafkaProbe, StoreProbe
from stockwatch.errors import RetryableError, UnavailableError, UsageError
from stockwatch.health import HealthRegistry, Reporter
from stockwatch.outbox import Outbox
from stockwatch.producer import Producer
from stockwatch.sessions import Instrument
from stockwatch.settings import EMBEDDED, Settings
from stockwatch.sources import Source, open_source
from stockwatch.store import Store
from stockwatch.supervisor.row import Part

NAMES = ("kafka", "clickhouse", "producer", "consumer", "dashboard")
NEEDS = {"producer": ("kafka",), "consumer": ("kafka", "clickhouse"), "dashboard": ("clickhouse",)}
PREPARE_SECONDS = 8.0  # an external engine that this start does not watch must answer once within this


@dataclass(frozen=True)
class Engines:
    """Where the engines are, and how their components are made; None: this start does not own them."""

    kafka: KafkaAddress
    owner: StoreAddress  # writes
    reader: StoreAddress  # reads
    make_kafka: Callable[[Reporter], Component]
    make_clickhouse: Callable[[Reporter], Component]


def selected(settings: Settings, only: str | None) -> tuple[str, ...]:
    """The components of this start, in their order. Raises UsageError for an unknown name or a missing address."""
    if only is None:
        return NAMES
    wanted = [name.strip() for name in only.split(",")]
    for name in wanted:
        if name not in NAMES:
            raise UsageError(f"--only: {name!r} is no component; there are {', '.join(NAMES)}")
    for name in wanted:
        for engine, value in (
            ("kafka", settings.kafka.bootstrap_servers),
            ("clickhouse", settings.clickhouse.url),
        ):
            if engine in NEEDS.get(name, ()) and engine not in wanted and value == EMBEDDED:
                key = "kafka.bootstrap_servers" if engine == "kafka" else "clickhouse.url"
                raise UsageError(f"--only {name}: leaves out {engine}, so {key} must be an address, not {EMBEDDED!r}")
    return tuple(name for name in NAMES if name in wanted)


def owns_an_engine(settings: Settings, names: tuple[str, ...]) -> bool:
    """Whether this start opens an embedded engine, and so must be the only one on its data folder."""
    embedded = {
        "kafka": settings.kafka.bootstrap_servers == EMBEDDED,
        "clickhouse": settings.clickhouse.url == EMBEDDED,
    }
    return any(embedded.get(name, False) for name in names)


def choose_port(settings: Settings, section: str, key: str, host: str = "127.0.0.1") -> int:
    """The port of a setting: as chosen, or a free one for 0 and for a default that is taken. Raises UnavailableError."""
    wanted: int = getattr(getattr(settings, section), key)
    try:
        listener = listen(host, wanted)
    except UnavailableError as error:
        if not settings.is_default(section, key):
            raise UnavailableError(f"{section}.{key}: {error}; choose another, or 0 for a free one") from error
        listener = listen(host, 0)
    with listener:
        return int(listener.getsockname()[1])


def engines(settings: Settings, instruments: list[Instrument]) -> Engines:
    """Embedded or by address, as the settings say; on Windows, where no embedded ones exist, by docker compose."""
    bootstrap, url = settings.kafka.bootstrap_servers, settings.clickhouse.url
    if sys.platform == "win32" and EMBEDDED in (bootstrap, url):
        composed = compose_up(Path(__file__).resolve().parent.parent)
        bootstrap = composed[0] if bootstrap == EMBEDDED else bootstrap
        url = composed[1] if url == EMBEDDED else url
    kafka, make_kafka = _kafka(settings, bootstrap)
    owner, reader, make_clickhouse = _clickhouse(settings, url, instruments)
    return Engines(kafka, owner, reader, make_kafka, make_clickhouse)


def _kafka(settings: Settings, bootstrap: str) -> tuple[KafkaAddress, Callable[[Reporter], Component]]:
    topic, partitions = settings.kafka.topic, settings.kafka.partitions
    if bootstrap == EMBEDDED:
        from stockwatch.engines.embedded_kafka import EmbeddedKafka, embedded_address  # has no wheel for every system

        with listen("127.0.0.1", 0) as listener:
            port = int(listener.getsockname()[1])
        log = settings.data_dir / "kafka.log"
        return embedded_address(port), lambda report: EmbeddedKafka(port, topic, partitions, log, report)
    keys = ("security_protocol", "sasl_mechanism", "ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
    security = {key: value for key in keys if (value := getattr(settings.kafka, key)) != ""}
    for key in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        if key in security:
            security[key] = str(settings.resolve(security[key]))
    if settings.kafka.sasl_mechanism:
        security["sasl_plain_username"] = settings.kafka.sasl_username
        security["sasl_plain_password"] = settings.kafka.sasl_password
    address = KafkaAddress(tuple(bootstrap.split(",")), security=security)
    return address, lambda report: ExternalKafka(address, topic, partitions, report)


def _clickhouse(
    settings: Settings, url: str, instruments: list[Instrument]
) -> tuple[StoreAddress, StoreAddress, Callable[[Reporter], Component]]:
    chosen = settings.clickhouse
    if url != EMBEDDED:
        parts = urlsplit(url)
        bare = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        user, password = unquote(parts.username or "default"), unquote(parts.password or "")
        address = StoreAddress(
            bare, chosen.database, user, password, cluster=chosen.cluster, retention_days=chosen.retention_days
        )
        return address, address, lambda report: ExternalClickHouse(address, instruments, report)
    from stockwatch.engines.embedded_clickhouse import EmbeddedClickHouse  # has no wheel for Windows

    port, data_dir = choose_port(settings, "clickhouse", "http_port"), settings.data_dir
    owner, reader = (
        StoreAddress(
            f"http://127.0.0.1:{port}",
            chosen.database,
            user,
            password_file=data_dir / file,
            retention_days=chosen.retention_days,
        )
        for user, file in (("stockwatch", "clickhouse.password"), ("reader", "clickhouse.reader.password"))
    )
    return owner, reader, lambda report: EmbeddedClickHouse(data_dir, port, report, StoreProbe(owner, instruments))


def parts(settings: Settings, names: tuple[str, ...], registry: HealthRegistry, health_url: str, port: int) -> list[Part]:
    """The row of this start. Opens the source, so a bad recording is refused before anything starts (UsageError)."""
    source: Source | None = open_source(settings) if "producer" in names else None
    places = engines(settings, source.instruments() if source else [])
    _prepare_what_is_left_out(settings, names, places, source.instruments() if source else [])
    outbox = Outbox(places.kafka.keeps_log)
    registry.set_fact(
        source=source.name if source else settings.market.source,
        clickhouse_url=places.owner.url,
        kafka=",".join(places.kafka.bootstrap_servers),
    )

    def producer() -> Component:
        if source is None:
            raise UnavailableError("the producer has no source")
        return Producer(source, outbox, places.kafka, settings.kafka.topic, registry.reporter("producer"))

    def consumer() -> Component:
        return Consumer(
            places.kafka,
            settings.kafka.topic,
            settings.kafka.group_id,
            Store(places.owner),
            outbox,
            registry.reporter("consumer"),
        )

    def dashboard() -> Component:
        file = settings.data_dir / "dashboard.json"
        Connection(settings, places.reader, health_url).save(file)
        return DashboardProcess(settings, port, file, registry.reporter("dashboard"))

    made: dict[str, Callable[[], Component]] = {
        "kafka": lambda: places.make_kafka(registry.reporter("kafka")),
        "clickhouse": lambda: places.make_clickhouse(registry.reporter("clickhouse")),
        "producer": producer,
        "consumer": consumer,
        "dashboard": dashboard,
    }
    essential = ("kafka", "clickhouse")
    needs = {**NEEDS, "dashboard": ()}  # the page starts beside the store and waits for it by itself
    return [Part(name, made[name], needs.get(name, ()), name in essential) for name in names]


def _prepare_what_is_left_out(settings: Settings, names: tuple[str, ...], places: Engines, instruments: list[Instrument]) -> None:
    """Topics and schema of external engines that this start uses and does not watch. Raises UnavailableError."""
    used = {need for name in names for need in NEEDS.get(name, ())} - set(names)
    until = time.monotonic() + PREPARE_SECONDS
    probe = KafkaProbe(places.kafka, settings.kafka.topic, settings.kafka.partitions)
    store = StoreProbe(places.owner, instruments)
    for engine, prepare, close in (
        ("kafka", probe.make_topics, probe.close),
        ("clickhouse", store.prepare, store.close),
    ):
        while engine in used:
            try:
                prepare()
                break
            except RetryableError as error:
                if time.monotonic() > until:
                    raise UnavailableError(str(error)) from error
        close()
