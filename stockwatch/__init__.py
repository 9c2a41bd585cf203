"""stockwatch: streams stock prices through Kafka into ClickHouse and shows them live."""

__version__ = "0.1.0"
