-- One symbol's bars that start in [start, end), each identity once.
SELECT toUnixTimestamp64Milli(start) AS start_ms, toInt64(minutes) AS minutes_, open, high, low, close,
       toInt64(volume) AS volume_
FROM bars FINAL
WHERE source = {source:String} AND symbol = {symbol:String}
  AND start >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND start < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
ORDER BY start, minutes
