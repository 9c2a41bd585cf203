-- Alerts of one symbol, or of all with an empty symbol, at [start, end), stored after `after`; the newest first, each once.
SELECT toString(source) AS source_, toString(symbol) AS symbol_, toUnixTimestamp64Milli(at) AS at_ms, toString(rule) AS rule_,
       `from`, `to`, percent, toUnixTimestamp64Milli(from_at) AS from_ms, toUnixTimestamp64Milli(ingested_at) AS ingested_ms
FROM alerts FINAL
WHERE source = {source:String} AND ({symbol:String} = '' OR symbol = {symbol:String})
  AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
  AND ingested_at > fromUnixTimestamp64Milli({after:Int64}, 'UTC')
ORDER BY at DESC, symbol, rule
LIMIT {limit:UInt32}
