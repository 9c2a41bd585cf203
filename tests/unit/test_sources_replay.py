"""The replay source: tests come in a minute (claimed)."""
