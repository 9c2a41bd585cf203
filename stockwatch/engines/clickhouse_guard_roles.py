"""The engine's own fence behind the guard: ClickHouse's grants and constraints, in a configuration that chDB reads at its start.

Nobody, the owner included, is granted a source (FILE, URL, S3, REMOTE, …) or an engine that needs one, and the reader's role
selects and nothing else. Named in the connection, it also keeps the engine from taking a `config.xml` that happens to lie in
the folder where the program was started.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

OWNER_ROLE, READER_ROLE = "stockwatch_owner", "stockwatch_reader"
# Settings that bring a file, a schema, an address or SQL of their own; as they are, for everyone (the guard refuses more).
CONSTANT = (
    "dialect", "format_schema", "format_template_row", "format_template_resultset", "format_avro_schema_registry_url",
    "additional_table_filters", "additional_result_filter", "implicit_table_at_top_level", "input_format_record_errors_file_path",
    "allow_introspection_functions", "parallel_replicas_custom_key", "select", "order", "sort", "filter", "url_base",
    "format_display_secrets_in_show_and_select", "rename_files_after_processing",
)  # fmt: skip
# By default a thread that worked once stays for good: 130 of them after a minute, each with its heap and three files of /proc.
IDLE_THREADS = 8
_OWNS = "SELECT, INSERT, ALTER, CREATE, DROP, TRUNCATE, OPTIMIZE, SHOW, KILL QUERY"
_CONFIGURATION = """<clickhouse>
  <users_config>{users}</users_config>
  <user_files_path>{nothing}</user_files_path>
  <format_schema_path>{nothing}</format_schema_path>
  <max_thread_pool_free_size>{idle}</max_thread_pool_free_size>
  {disk}
</clickhouse>
"""
_USERS = """<clickhouse>
  <profiles><default><constraints>{constraints}</constraints></default></profiles>
  <roles>
    <{owner}><grants><query>GRANT {owns} ON *.*</query></grants></{owner}>
    <{reader}><grants><query>GRANT SELECT, SHOW ON *.*</query></grants></{reader}>
  </roles>
  <users><default>
    <password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    <grants><query>GRANT {owner}, {reader}</query></grants>
  </default></users>
  <quotas><default/></quotas>
</clickhouse>
"""


def write_configuration(folder: Path, disk: str = "") -> Path:
    """Write it into `folder` (0700; files 0600) unless it is there. Returns the path for the connection's `config-file`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    nothing = folder / "nothing"  # where files of users would be: an empty folder
    nothing.mkdir(mode=0o700, exist_ok=True)
    constraints = "".join(f"<{name}><readonly/></{name}>" for name in CONSTANT)
    users = _USERS.format(constraints=constraints, owner=OWNER_ROLE, reader=READER_ROLE, owns=_OWNS)
    _write(folder / "users.xml", users)
    place = escape(str(nothing.absolute())) + "/"
    users_path = escape(str((folder / "users.xml").absolute()))
    _write(folder / "config.xml", _CONFIGURATION.format(users=users_path, nothing=place, idle=IDLE_THREADS, disk=disk))
    return (folder / "config.xml").absolute()


def become(handle: Any, *, read_only: bool) -> None:
    """Give a handle of that configuration the rights of one user; to be asked before each statement (0.15 ms)."""
    handle.query(f"SET ROLE {READER_ROLE if read_only else OWNER_ROLE}")


def _write(path: Path, text: str) -> None:
    with contextlib.suppress(OSError, UnicodeDecodeError):  # missing, or not ours to read: made anew
        if stat.S_IMODE(path.lstat().st_mode) == 0o600 and path.read_text(encoding="utf-8") == text:
            return  # a store is opened again on a full disk too
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
