-- When the newest of one symbol's bars was stored (ms): not the newest bar, for a gap is filled, and bars are corrected, later.
SELECT toUnixTimestamp64Milli(max(ingested_at))
FROM bars
WHERE source = {source:String} AND symbol = {symbol:String}
