"""The life of the embedded store: opened again, killed, locked by another process."""
