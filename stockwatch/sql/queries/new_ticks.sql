-- Of several symbols the ticks from `start` on that were stored from `stored_since` on, of each symbol the newest 3,000 (MOST_NEWS):
-- what a page asks many times a second of a live source. No FINAL: a repeat of a tick is the same tick.
SELECT toString(symbol) AS symbol_, toUnixTimestamp64Milli(at) AS at_ms, toInt64(day_volume) AS volume, kafka_offset, price,
       toUnixTimestamp64Milli(ingested_at) AS stored, ifNull(bid, nan), ifNull(ask, nan), ifNull(previous_close, nan),
       ifNull(day_open, nan), ifNull(day_high, nan), ifNull(day_low, nan), ifNull(currency, '')
FROM ticks
PREWHERE source = {source:String} AND symbol IN {symbols:Array(String)}
  AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
  AND ingested_at >= fromUnixTimestamp64Milli({stored_since:Int64}, 'UTC')
ORDER BY at DESC, day_volume DESC
LIMIT 3000 BY symbol
