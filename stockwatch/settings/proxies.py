"""A proxy in the environment is for the internet: what listens on this machine is reached without it."""

from __future__ import annotations

import os

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def spare_loopback() -> None:
    """Add loopback's names to no_proxy, for this process and its children; what is there stays. To be called before all else.

    Both spellings: clickhouse-connect, urllib and curl take the small one first and then only that one.
    """
    # With no_proxy alone in the environment urllib would no longer ask macOS or Windows for the user's proxy.
    if not any(value for name, value in os.environ.items() if name.lower().endswith("_proxy") and name.lower() != "no_proxy"):
        return
    small, large = os.environ.get("no_proxy", ""), os.environ.get("NO_PROXY", "")
    for name, value in (("no_proxy", small or large), ("NO_PROXY", large or small)):
        there = [part.strip() for part in value.split(",") if part.strip()]
        if there != ["*"]:  # no proxy at all, and understood only while it stands alone
            os.environ[name] = ",".join([*there, *(host for host in LOOPBACK if host not in there)])
