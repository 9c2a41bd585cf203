-- What one symbol's newest tick before `end` is compared with: each price of the window that ends there, and when it was seen last.
-- volumes, place: of the newest moment's ticks, so that a repeat is known. No FINAL: a repeat says the same.
WITH
(
    SELECT toUnixTimestamp64Milli(at) FROM ticks
    WHERE source = {source:String} AND symbol = {symbol:String} AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    ORDER BY at DESC LIMIT 1
) AS newest
SELECT max(toUnixTimestamp64Milli(at)) AS at_ms, price, groupUniqArrayIf(toInt64(day_volume), toUnixTimestamp64Milli(at) = newest) AS volumes,
       maxIf(kafka_offset, toUnixTimestamp64Milli(at) = newest) AS place
FROM ticks
WHERE source = {source:String} AND symbol = {symbol:String}
  AND at >= fromUnixTimestamp64Milli(ifNull(newest, 0) - {window:Int64}, 'UTC')
  AND at <= fromUnixTimestamp64Milli(ifNull(newest, 0), 'UTC')
GROUP BY price
ORDER BY at_ms, place
