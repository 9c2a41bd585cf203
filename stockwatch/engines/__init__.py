"""Engines: what runs inside this program (embedded) and what is reached by address (external)."""
