-- What a recording brought for one symbol.
SELECT calendar, timezone, simulated, joins_late FROM instruments FINAL WHERE source = {source:String} AND symbol = {symbol:String}
