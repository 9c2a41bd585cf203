-- Every source that has written.
SELECT DISTINCT toString(source) AS source_ FROM (SELECT source FROM ticks UNION ALL SELECT source FROM bars) ORDER BY source_
