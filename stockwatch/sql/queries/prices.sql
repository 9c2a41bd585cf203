-- What candles need of one symbol's ticks in [start, end), each identity once.
SELECT toUnixTimestamp64Milli(at) AS at_ms, price, toInt64(day_volume) AS volume
FROM ticks FINAL
WHERE source = {source:String} AND symbol = {symbol:String}
  AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
ORDER BY at, day_volume, kafka_offset
