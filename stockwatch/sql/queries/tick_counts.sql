-- Of each symbol of a source: how many ticks are stored, each identity once, how many before the newest moment, and that (ms).
SELECT toString(symbol) AS symbol_, toInt64(count()), toInt64(countIf(at < newest)), max(toUnixTimestamp64Milli(newest))
FROM
(
    SELECT symbol, at, max(at) OVER (PARTITION BY symbol) AS newest FROM ticks FINAL WHERE source = {source:String}
)
GROUP BY symbol
