-- The newest tick of one symbol before `end`. No FINAL: a repeat of it is the same tick, and the key is read backwards.
SELECT toUnixTimestamp64Milli(at) AS at_ms, price, toInt64(day_volume) AS volume,
       ifNull(bid, nan) AS bid_, ifNull(ask, nan) AS ask_, ifNull(previous_close, nan) AS previous_close_,
       ifNull(day_open, nan) AS day_open_, ifNull(day_high, nan) AS day_high_, ifNull(day_low, nan) AS day_low_,
       ifNull(currency, '') AS currency_
FROM ticks
WHERE source = {source:String} AND symbol = {symbol:String}
  AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
ORDER BY at DESC, day_volume DESC
LIMIT 1
