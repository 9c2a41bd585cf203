-- Of several symbols the newest tick in [start, end), and when of all in there the last was stored: what a page asks many times a
-- second of a replay, so it is one query for all of them, and [start, end) is short. No FINAL: a repeat of a tick is the same tick.
SELECT toString(symbol) AS symbol_, toUnixTimestamp64Milli(max(at)) AS at_ms,
       toUnixTimestamp64Milli(max(ingested_at)) AS ingested_ms,
       argMax(tuple(price, toInt64(day_volume), ifNull(bid, nan), ifNull(ask, nan), ifNull(previous_close, nan),
                    ifNull(day_open, nan), ifNull(day_high, nan), ifNull(day_low, nan), ifNull(currency, '')),
              (at, day_volume)) AS newest
FROM ticks
WHERE source = {source:String} AND symbol IN {symbols:Array(String)}
  AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
GROUP BY symbol
