-- What the rules of [alerts] have told. Identity has no ingest time: an alert that is told again is one row.
CREATE TABLE IF NOT EXISTS alerts{local} {on_cluster}
(
    source      LowCardinality(String),
    symbol      LowCardinality(String),
    at          DateTime64(3, 'UTC'),
    rule        LowCardinality(String),
    `from`      Float64,
    `to`        Float64,
    percent     Float64,
    from_at     DateTime64(3, 'UTC'),
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = {replacing}
ORDER BY (source, symbol, at, rule, `from`, `to`, percent)
TTL toDateTime(ingested_at) + INTERVAL {retention_days} DAY
SETTINGS old_parts_lifetime = 30;

{cluster_only} CREATE TABLE IF NOT EXISTS alerts {on_cluster} AS {database}.alerts_local
ENGINE = Distributed('{cluster}', '{database}', 'alerts_local', cityHash64(source, symbol));
