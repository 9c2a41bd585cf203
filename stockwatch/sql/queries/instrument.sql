-- The calendar that a recording brought for one symbol.
SELECT calendar, timezone FROM instruments FINAL WHERE source = {source:String} AND symbol = {symbol:String}
