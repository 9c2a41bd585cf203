"""The yahoo source: tests come in a minute (claimed)."""
