"""A .pbids file: opened in Power BI Desktop it asks for a user and a password, then shows the store's tables.

Microsoft's page "Data sources in Power BI Desktop" (Use PBIDS files to get data) has the form: version 0.1, one connection, its
protocol and address as in the data source reference (DSR), never credentials. A connector of its own can be named only if it has
a DSR handler, and ClickHouse's built-in one has none; it is a wrapper of ClickHouse's ODBC driver. So the protocol is `odbc`,
whose address is `options`: the words of an ODBC connection string, all text. The driver must be installed (clickhouse-odbc, its
64-bit MSI), for the built-in connector too. Power BI refuses a user or a password in these options: it asks for both.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

DRIVER = "ClickHouse ODBC Driver (Unicode)"


def data_source(url: str, database: str) -> str:
    """The file's text for the ClickHouse at `url` (http or https, nothing of a user in it is taken)."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    options = {
        "driver": DRIVER,
        "server": parts.hostname or "",
        "port": str(parts.port or (8443 if secure else 8123)),
        "database": database,
    }
    if secure:
        options["sslmode"] = "require"
    details = {"protocol": "odbc", "address": {"options": options}}
    return json.dumps({"version": "0.1", "connections": [{"details": details, "options": {}, "mode": "Import"}]}, indent=2)
