"""Where the engines are: embedded or by address. The only place that asks which."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stockwatch.component import Component, KafkaAddress, StoreAddress
from stockwatch.component.lean import without
from stockwatch.component.serving import listen
from stockwatch.engines.compose import compose_up
from stockwatch.engines.external import ExternalClickHouse, ExternalKafka, StoreProbe
from stockwatch.errors import UnavailableError
from stockwatch.health import Reporter
from stockwatch.sessions import Instrument
from stockwatch.settings import EMBEDDED, Settings


@dataclass(frozen=True)
class Engines:
    """Where the engines are, and how their components are made; None: this start does not own them."""

    kafka: KafkaAddress
    owner: StoreAddress  # writes
    reader: StoreAddress  # reads
    make_kafka: Callable[[Reporter], Component]
    make_clickhouse: Callable[[Reporter], Component]


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
        composed = compose_up(Path(__file__).resolve().parents[2])
        bootstrap = composed[0] if bootstrap == EMBEDDED else bootstrap
        url = composed[1] if url == EMBEDDED else url
    kafka, make_kafka = _kafka(settings, bootstrap)
    owner, reader, make_clickhouse = _clickhouse(settings, url, instruments)
    return Engines(kafka, owner, reader, make_kafka, make_clickhouse)


def external_kafka(settings: Settings) -> KafkaAddress | None:
    """The broker that the settings name; None when it is embedded."""
    return None if settings.kafka.bootstrap_servers == EMBEDDED else _kafka(settings, settings.kafka.bootstrap_servers)[0]


def _kafka(settings: Settings, bootstrap: str) -> tuple[KafkaAddress, Callable[[Reporter], Component]]:
    topic, partitions = settings.kafka.topic, settings.kafka.partitions
    if bootstrap == EMBEDDED:
        from stockwatch.engines.embedded_kafka import EmbeddedKafka, embedded_address  # has no wheel for every system

        with listen("127.0.0.1", 0) as listener:
            port = int(listener.getsockname()[1])
        log, memory_mb = settings.data_dir / "kafka.log", settings.kafka.embedded_memory_mb
        return embedded_address(port), lambda report: EmbeddedKafka(port, topic, partitions, memory_mb, log, report)
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
    with without("pyarrow"):
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
