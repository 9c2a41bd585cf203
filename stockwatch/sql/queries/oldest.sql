-- When the oldest tick or bar of one symbol begins (ms); null without rows.
SELECT minOrNull(moment) FROM
(
    SELECT * FROM (SELECT toUnixTimestamp64Milli(at) AS moment FROM ticks
    WHERE source = {source:String} AND symbol = {symbol:String} ORDER BY at LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT toUnixTimestamp64Milli(start) AS moment FROM bars
    WHERE source = {source:String} AND symbol = {symbol:String} AND minutes = 1 ORDER BY start LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT toUnixTimestamp64Milli(start) AS moment FROM bars
    WHERE source = {source:String} AND symbol = {symbol:String} AND minutes = 5 ORDER BY start LIMIT 1)
)
