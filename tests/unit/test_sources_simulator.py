"""The simulator source: tests come in a minute (claimed)."""
