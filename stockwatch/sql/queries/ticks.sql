-- One symbol's ticks in [start, end), each identity once.
SELECT toUnixTimestamp64Milli(at) AS at_ms, price, toInt64(day_volume) AS volume,
       ifNull(bid, nan) AS bid_, ifNull(ask, nan) AS ask_, ifNull(previous_close, nan) AS previous_close_,
       ifNull(day_open, nan) AS day_open_, ifNull(day_high, nan) AS day_high_, ifNull(day_low, nan) AS day_low_,
       ifNull(currency, '') AS currency_
FROM ticks FINAL
WHERE source = {source:String} AND symbol = {symbol:String}
  AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
ORDER BY at, day_volume, kafka_offset
