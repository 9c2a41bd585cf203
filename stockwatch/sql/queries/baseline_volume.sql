-- The high-water mark of the cumulative volume in [start, end), and when its last tick was; null without rows.
SELECT maxOrNull(toInt64(day_volume)), maxOrNull(toUnixTimestamp64Milli(at))
FROM ticks
WHERE source = {source:String} AND symbol = {symbol:String}
  AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
