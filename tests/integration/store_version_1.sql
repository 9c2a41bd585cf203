-- A store as version 1 of stockwatch left it, with rows; `old` is its database. Never changed: it is what people have.
CREATE DATABASE old;
CREATE TABLE old.schema_versions (version UInt32, name String, ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'))
ENGINE = ReplacingMergeTree(ingested_at) ORDER BY version;
CREATE TABLE old.ticks
(
    source          LowCardinality(String),
    symbol          LowCardinality(String),
    at              DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    price           Float64 CODEC(Gorilla, ZSTD(1)),
    day_volume      UInt64 CODEC(Delta, ZSTD(1)),
    bid             Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    ask             Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    previous_close  Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    day_open        Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    day_high        Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    day_low         Nullable(Float64) CODEC(Gorilla, ZSTD(1)),
    currency        LowCardinality(Nullable(String)),
    kafka_partition Int32 CODEC(ZSTD(1)),
    kafka_offset    Int64 CODEC(Delta, ZSTD(1)),
    ingested_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ingested_at) PARTITION BY toYYYYMM(at) ORDER BY (source, symbol, at, day_volume, price)
TTL toDateTime(ingested_at) + INTERVAL 30 DAY SETTINGS old_parts_lifetime = 30;
CREATE TABLE old.bars
(
    source          LowCardinality(String),
    symbol          LowCardinality(String),
    start           DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    minutes         UInt8,
    open            Float64 CODEC(Gorilla, ZSTD(1)),
    high            Float64 CODEC(Gorilla, ZSTD(1)),
    low             Float64 CODEC(Gorilla, ZSTD(1)),
    close           Float64 CODEC(Gorilla, ZSTD(1)),
    volume          UInt64 CODEC(ZSTD(1)),
    kafka_partition Int32 CODEC(ZSTD(1)),
    kafka_offset    Int64 CODEC(Delta, ZSTD(1)),
    ingested_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(ingested_at) PARTITION BY toYYYYMM(start) ORDER BY (source, symbol, minutes, start)
TTL toDateTime(ingested_at) + INTERVAL 30 DAY SETTINGS old_parts_lifetime = 30;
CREATE TABLE old.dead_letters
(
    topic           LowCardinality(String),
    kafka_partition Int32,
    kafka_offset    Int64,
    reason          String,
    key             String,
    value           String CODEC(ZSTD(1)),
    ingested_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(ingested_at) ORDER BY (topic, kafka_partition, kafka_offset, cityHash64(value))
TTL toDateTime(ingested_at) + INTERVAL 30 DAY SETTINGS old_parts_lifetime = 30;
CREATE TABLE old.instruments
(
    source      String,
    symbol      String,
    calendar    String,
    timezone    String,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(ingested_at) ORDER BY (source, symbol);
INSERT INTO old.schema_versions (version, name) VALUES (1, 'initial');
INSERT INTO old.ticks (source, symbol, at, price, day_volume, bid, currency, kafka_partition, kafka_offset) VALUES
    ('replay:class', 'TCS.NS', '2025-11-24 04:00:00.000', 100.5, 10, 100.4, 'INR', 0, 1),
    ('replay:class', 'TCS.NS', '2025-11-24 04:00:01.500', 101.25, 12, NULL, NULL, 0, 2),
    ('replay:class', 'TCS.NS', '2025-11-24 04:00:01.500', 101.25, 12, NULL, NULL, 0, 3),
    ('simulator', 'TCS.NS', '2025-11-24 04:00:01.500', 7.0, 1, NULL, NULL, 1, 1);
INSERT INTO old.bars (source, symbol, start, minutes, open, high, low, close, volume, kafka_partition, kafka_offset) VALUES
    ('replay:class', 'TCS.NS', '2025-11-24 03:59:00.000', 1, 99, 101, 98, 100, 500, 0, 1);
INSERT INTO old.dead_letters (topic, kafka_partition, kafka_offset, reason, key, value) VALUES
    ('stock-prices', 0, 9, 'not a tick', 'TCS.NS', 'rubbish');
INSERT INTO old.instruments (source, symbol, calendar, timezone) VALUES ('replay:class', 'TCS.NS', '24/7', 'Asia/Kolkata');
