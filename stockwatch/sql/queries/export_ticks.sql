-- Ticks of one symbol, or of all with an empty symbol, in [start, end), by symbol and time; streamed.
SELECT toString(symbol) AS symbol_, toUnixTimestamp64Milli(at) AS at_ms, price, toInt64(day_volume) AS volume,
       ifNull(bid, nan) AS bid_, ifNull(ask, nan) AS ask_, ifNull(previous_close, nan) AS previous_close_,
       ifNull(day_open, nan) AS day_open_, ifNull(day_high, nan) AS day_high_, ifNull(day_low, nan) AS day_low_,
       ifNull(currency, '') AS currency_
FROM ticks FINAL
WHERE source = {source:String} AND ({symbol:String} = '' OR symbol = {symbol:String})
  AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
ORDER BY symbol, at, day_volume, kafka_offset
