-- Which migrations were applied. On a cluster it is one table on all servers, whichever shard they are of.
CREATE TABLE IF NOT EXISTS schema_versions {on_cluster}
(
    version     UInt32,
    name        String,
    ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = {replacing_everywhere}
ORDER BY version;
