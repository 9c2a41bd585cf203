-- The symbols that one source has written.
SELECT DISTINCT toString(symbol) AS symbol_ FROM
(
    SELECT symbol FROM ticks WHERE source = {source:String}
    UNION ALL
    SELECT symbol FROM bars WHERE source = {source:String}
)
ORDER BY symbol_
