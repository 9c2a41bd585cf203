"""What the page is told by the supervisor: a file of mode 0600, since addresses may come with a password."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from stockwatch.component import StoreAddress
from stockwatch.settings import Settings

# Secrets of other parts: what the page does not need, it is not told.
NOT_FOR_THE_PAGE = {
    "kafka": {"sasl_password"},
    "clickhouse": {"url", "cluster"},  # the store's address comes by itself
    "alerts": {"webhook_url", "webhook_secret"},
    "market": {"proxy"},
}


@dataclass(frozen=True)
class Connection:
    """The settings that are in force (with the command line's and the environment's), the store, and health."""

    settings: Settings
    store: StoreAddress
    health_url: str

    def save(self, path: Path) -> None:
        """Write it whole or not at all, for this user alone."""
        content = {
            "settings": self.settings.model_dump(mode="json", exclude=NOT_FOR_THE_PAGE),
            "store": {
                "url": self.store.url,
                "database": self.store.database,
                "user": self.store.user,
                "password": self.store.password,
                "password_file": str(self.store.password_file) if self.store.password_file else None,
            },
            "health_url": self.health_url,
        }
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file)
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> Connection:
        """Read what save() wrote."""
        content = json.loads(path.read_text(encoding="utf-8"))
        store = content["store"]
        file = store.pop("password_file")
        return cls(
            Settings.model_validate(content["settings"]),
            StoreAddress(**store, password_file=Path(file) if file else None),
            content["health_url"],
        )
