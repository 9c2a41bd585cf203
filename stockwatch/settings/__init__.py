"""settings.toml + environment → frozen Settings. Environment wins: STOCKWATCH_<SECTION>__<KEY>, lists as JSON.

Every mistake raises UsageError with one line: where, which key, the value (never a secret's), what is allowed.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from stockwatch.errors import UsageError
from stockwatch.settings.sections import (
    EMBEDDED,
    Alerts,
    Cache,
    ClickHouse,
    Dashboard,
    Kafka,
    Market,
    Supervisor,
    is_loopback,
)

__all__ = ["EMBEDDED", "PREFIX", "Settings", "is_loopback", "load"]

PREFIX = "STOCKWATCH_"
FILES = [("market", "ca_file"), *(("kafka", key) for key in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"))]  # must be there
WORDS = {  # pydantic's, and ours
    "Input should be": "must be", "a valid tuple": "a list", "Tuple should have": "must have", " after validation": "",
    "String should match pattern": "must match", "Extra inputs are not permitted": "is no setting",
}  # fmt: skip
# Their values may hold a password, so no message shows them.
_SECRETS = {"sasl_password", "password", "url", "webhook_url", "webhook_secret", "redis_url", "proxy"}


class Settings(BaseSettings):
    """Every setting. Frozen; `path` is the file it came from, and paths in it are relative to that file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, case_sensitive=False
    )
    market: Market = Market()
    kafka: Kafka = Kafka()
    clickhouse: ClickHouse = ClickHouse()
    dashboard: Dashboard = Dashboard()
    alerts: Alerts = Alerts()
    cache: Cache = Cache()
    supervisor: Supervisor = Supervisor()
    path: Path = Path("settings.toml")

    @property
    def data_dir(self) -> Path:
        """Everything that the program writes lives here."""
        return self.resolve(self.supervisor.data_dir)

    def resolve(self, path: str) -> Path:
        """A path of the settings file, relative to it. Raises UsageError for the home folder of a user whom nobody knows."""
        try:
            return (self.path.parent / Path(path).expanduser()).absolute()
        except RuntimeError:
            raise UsageError(f"{self.path.name}: {path}: {Path(path).parts[0]} is no user with a home folder here") from None

    def is_default(self, section: str, key: str) -> bool:
        """Whether a value is the default: a taken default port is replaced, a chosen one is an error."""
        current: BaseModel = getattr(self, section)
        return bool(getattr(current, key) == type(current).model_fields[key].default)


def load(path: Path, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> Settings:
    """Read `path` (absent: the defaults), then the environment, then `overrides` (section → key → value), which win.

    Raises UsageError with one line.
    """
    path = path.absolute()
    content = _read(path)
    _refuse_unknown(content, set(os.environ), path.name)
    try:
        environment = EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise UsageError(_not_json(error)) from None
    layers = (content, environment, overrides or {})
    merged = {s: {k: v for layer in layers for k, v in layer.get(s, {}).items()} for s in Settings.model_fields if s != "path"}
    try:
        made = Settings.model_validate({"path": path, **merged})  # validate: the constructor would read the environment
    except ValidationError as error:
        raise UsageError(_one_line(error, path, environment, overrides or {})) from None
    _ = made.data_dir  # refused now, not in the midst of a start
    for section, key in FILES:
        file = getattr(getattr(made, section), key)
        if file and not made.resolve(file).is_file():
            raise UsageError(f"{path.name}: {section}.{key} = {json.dumps(file)}: {made.resolve(file)} is no file")
    return made


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is not TOML: {error}") from None


def _refuse_unknown(content: Mapping[str, Any], environment: set[str], file: str) -> None:
    """Unknown names, sections too, in the file and in the environment; the nearest right one is offered."""
    known = {
        f"{section}.{key}"
        for section, field in Settings.model_fields.items()
        if section != "path"
        for key in field.annotation.model_fields  # type: ignore[union-attr]
    }
    sections = {name.split(".")[0] for name in known}
    for section, keys in content.items():
        if section not in sections:
            raise UsageError(f"{file}: [{section}] is no section{_nearest(section, sections)}")
        if not isinstance(keys, dict):
            raise UsageError(f"{file}: {section} must be a section, [{section}]")  # not what it is: it may hold a password
        for key in keys:
            if f"{section}.{key}" not in known:
                raise UsageError(f"{file}: {section}.{key} is no setting{_nearest(f'{section}.{key}', known)}")
    names = {f"{PREFIX}{name.replace('.', '__').upper()}" for name in known}
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in names:
            raise UsageError(f"{name} in the environment is no setting{_nearest(name.upper(), names)}")


def _nearest(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}"


def _one_line(error: ValidationError, path: Path, environment: Mapping[str, Any], overrides: Mapping[str, Any]) -> str:
    """The first mistake as: where, key = value: what is allowed."""
    first = error.errors(include_url=False)[0]
    location = [str(part) for part in first["loc"]]
    section, key = location[0], location[1] if len(location) > 1 else ""
    where = path.name
    if key in overrides.get(section, {}):
        where = "the command line"
    elif key in environment.get(section, {}):
        where = f"{PREFIX}{section}__{key}".upper()
    message = first["msg"].removeprefix("Value error, ")
    for theirs, ours in WORDS.items():
        message = message.replace(theirs, ours)
    if not key:
        return f"{where}: {section}.{message}"
    hidden = key in _SECRETS or any(part in _SECRETS for part in location)
    value = "" if hidden else f" = {json.dumps(first['input'], default=str, ensure_ascii=False)[:80]}"
    return f"{where}: {'.'.join(location)}{value}: {message}"


def _not_json(error: SettingsError) -> str:
    """pydantic-settings names the section only; the environment names the key."""
    for name, value in os.environ.items():
        if name.upper().startswith(PREFIX) and name.upper().endswith(("__TICKERS", "__ALLOWED_HOSTS", "__RULES")):
            try:
                json.loads(value)
            except ValueError:
                return f'{name} = {value[:80]!r}: must be a list as JSON, such as ["RELIANCE.NS", "AAPL"]'
    return f"the environment: {error}"
