-- The first schema; store/schema.py fills in the names in braces. Every statement is safe to run again.
-- Identity is the sorting key: a message delivered twice is one row (read with FINAL). On a cluster the rows are in ticks_local,
-- and ticks spreads them by what is part of the identity, so that repeats meet on one shard.

CREATE TABLE IF NOT EXISTS ticks{local} {on_cluster}
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
ENGINE = {replacing}
PARTITION BY toYYYYMM(at)
ORDER BY (source, symbol, at, day_volume, price)
TTL toDateTime(ingested_at) + INTERVAL {retention_days} DAY
SETTINGS old_parts_lifetime = 30;

{cluster_only} CREATE TABLE IF NOT EXISTS ticks {on_cluster} AS {database}.ticks_local
ENGINE = Distributed('{cluster}', '{database}', 'ticks_local', cityHash64(source, symbol));

CREATE TABLE IF NOT EXISTS bars{local} {on_cluster}
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
ENGINE = {replacing}
PARTITION BY toYYYYMM(start)
ORDER BY (source, symbol, minutes, start)
TTL toDateTime(ingested_at) + INTERVAL {retention_days} DAY
SETTINGS old_parts_lifetime = 30;

{cluster_only} CREATE TABLE IF NOT EXISTS bars {on_cluster} AS {database}.bars_local
ENGINE = Distributed('{cluster}', '{database}', 'bars_local', cityHash64(source, symbol));

-- What could not be stored, with its reason and where it came from; `value` is kept as it came.
CREATE TABLE IF NOT EXISTS dead_letters{local} {on_cluster}
(
    topic           LowCardinality(String),
    kafka_partition Int32,
    kafka_offset    Int64,
    reason          String,
    key             String,
    value           String CODEC(ZSTD(1)),
    ingested_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = {replacing}
ORDER BY (topic, kafka_partition, kafka_offset, cityHash64(value))
TTL toDateTime(ingested_at) + INTERVAL {retention_days} DAY
SETTINGS old_parts_lifetime = 30;

{cluster_only} CREATE TABLE IF NOT EXISTS dead_letters {on_cluster} AS {database}.dead_letters_local
ENGINE = Distributed('{cluster}', '{database}', 'dead_letters_local', cityHash64(topic, kafka_partition, kafka_offset));

-- The calendar of symbols whose source brings its own: recordings.
CREATE TABLE IF NOT EXISTS instruments{local} {on_cluster}
(
    source      String,
    symbol      String,
    calendar    String,
    timezone    String,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = {replacing}
ORDER BY (source, symbol);

{cluster_only} CREATE TABLE IF NOT EXISTS instruments {on_cluster} AS {database}.instruments_local
ENGINE = Distributed('{cluster}', '{database}', 'instruments_local', cityHash64(source, symbol));
