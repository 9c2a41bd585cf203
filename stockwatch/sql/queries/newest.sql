-- When the newest tick or bar of one symbol that began before `end` ends (ms); null without rows. Both keys are read backwards.
SELECT maxOrNull(moment) FROM
(
    SELECT * FROM (SELECT toUnixTimestamp64Milli(at) AS moment FROM ticks
    WHERE source = {source:String} AND symbol = {symbol:String} AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    ORDER BY at DESC LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT toUnixTimestamp64Milli(start) + 60000 AS moment FROM bars
    WHERE source = {source:String} AND symbol = {symbol:String} AND minutes = 1
    AND start < fromUnixTimestamp64Milli({end:Int64}, 'UTC') ORDER BY start DESC LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT toUnixTimestamp64Milli(start) + 300000 AS moment FROM bars
    WHERE source = {source:String} AND symbol = {symbol:String} AND minutes = 5
    AND start < fromUnixTimestamp64Milli({end:Int64}, 'UTC') ORDER BY start DESC LIMIT 1)
)
