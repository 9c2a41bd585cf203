-- The first bar's start and the last bar's end (ms) of one symbol; nulls without rows.
SELECT minOrNull(toUnixTimestamp64Milli(start)), maxOrNull(toUnixTimestamp64Milli(start) + 60000 * minutes)
FROM bars
WHERE source = {source:String} AND symbol = {symbol:String}
