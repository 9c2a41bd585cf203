"""Settings → the ordered components of one start."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cache

from stockwatch.alerts import AlertJudge, AlertStore, Webhook
from stockwatch.assembly.places import Engines, choose_port, engines
from stockwatch.assembly.stored import open_store
from stockwatch.cache import QuoteWriter, prefix_of
from stockwatch.component import Component
from stockwatch.consumer import Consumer
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.process import DashboardProcess
from stockwatch.engines.external import KafkaProbe, StoreProbe, prepare_unwatched
from stockwatch.errors import UnavailableError, UsageError
from stockwatch.health import HealthRegistry, State
from stockwatch.outbox import Outbox
from stockwatch.producer import Producer
from stockwatch.sessions import Instrument
from stockwatch.settings import EMBEDDED, Settings
from stockwatch.sources import Source, open_source
from stockwatch.store import Store
from stockwatch.supervisor.row import Part

__all__ = ["NAMES", "choose_port", "open_store", "owns_an_engine", "parts", "selected"]

NAMES = ("kafka", "clickhouse", "producer", "consumer", "dashboard")
NEEDS = {"producer": ("kafka",), "consumer": ("kafka", "clickhouse"), "dashboard": ("clickhouse",)}
CAUGHT_UP = 5_000  # messages: with less lag than this a planned renewal of the broker drains in a moment


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


def parts(
    settings: Settings, names: tuple[str, ...], registry: HealthRegistry, health_url: str, port: int, closing: ExitStack
) -> list[Part]:
    """The row of this start. Opens the source, so a bad recording is refused before anything starts (UsageError).

    closing: gives the source back, which outlives the producer's lives.
    """

    @cache
    def held() -> Store:
        store = Store(places.owner)  # made at the source's first need: by then the engines' addresses are known
        closing.callback(store.close)
        return store

    knows_store = "clickhouse" in names or settings.clickhouse.url != EMBEDDED
    source: Source | None = open_source(settings, held if knows_store else None) if "producer" in names else None
    if source is not None:
        closing.callback(source.close)
    places = engines(settings, source.instruments() if source else [])
    _prepare_what_is_left_out(settings, names, places, source.instruments() if source else [])
    outbox = Outbox(places.kafka.keeps_log)
    told = settings.alerts
    webhook = Webhook(told.webhook_url, told.webhook_secret) if told.webhook_url and "consumer" in names else None
    if webhook is not None:
        closing.callback(webhook.close)
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
        store = AlertStore(places.owner)
        return Consumer(
            places.kafka,
            settings.kafka.topic,
            settings.kafka.group_id,
            store,
            outbox,
            registry.reporter("consumer"),
            QuoteWriter(settings.cache.redis_url, prefix_of(settings)) if settings.cache.redis_url else None,
            AlertJudge(told, store, webhook),
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

    return [
        Part(
            name,
            made[name],
            needs.get(name, ()),
            essential=name in essential,
            drains=name == "consumer",
            may_renew=lambda urgent: _has_caught_up(registry, urgent),
        )
        for name in names
    ]


def _has_caught_up(registry: HealthRegistry, urgent: bool) -> bool:
    """Whether what the broker holds can be stored in a moment; urgent: whether it can be stored at all."""
    said = {health.name: health for health in registry.snapshot()}
    if any(name in said and said[name].state is not State.RUNNING for name in ("clickhouse", "consumer")):
        return False
    lag = said["consumer"].metrics.get("lag") if "consumer" in said else None
    return urgent or (isinstance(lag, int) and lag < CAUGHT_UP)


def _prepare_what_is_left_out(settings: Settings, names: tuple[str, ...], places: Engines, instruments: list[Instrument]) -> None:
    """Topics and schema of external engines that this start uses and does not watch. Raises UnavailableError."""
    used = {need for name in names for need in NEEDS.get(name, ())} - set(names)
    kafka = KafkaProbe(places.kafka, settings.kafka.topic, settings.kafka.partitions)
    store = StoreProbe(places.owner, instruments)
    with closing(kafka), closing(store):
        prepares = {"kafka": kafka.make_topics, "clickhouse": store.prepare}
        prepare_unwatched([prepare for engine, prepare in prepares.items() if engine in used])
