-- One symbol's price in [start, end): the last of each `step` ms. No FINAL: a repeat says the same.
SELECT max(toUnixTimestamp64Milli(at)) AS at_ms, argMax(price, (at, day_volume)) AS price_
FROM ticks
WHERE source = {source:String} AND symbol = {symbol:String}
  AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
GROUP BY intDiv(toUnixTimestamp64Milli(at), {step:Int64})
ORDER BY at_ms
