"""The gateway as clickhouse-connect and curl see it: real chDB, one engine for the module."""
