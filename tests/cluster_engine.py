"""One ClickHouse that believes it is a cluster, for tests: chDB in a child, behind as little HTTP as the client needs.

Its configuration has a cluster `stock` of one shard, which is itself, and the in-memory Keeper of ClickHouse's own tests. The
product's gateway refuses tables that reach other servers, so it is left out; so are users.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from program import free_port, until

CONFIGURATION = """<clickhouse>
<tcp_port>9000</tcp_port>
<zookeeper><implementation>testkeeper</implementation></zookeeper>
<remote_servers><stock><shard><internal_replication>true</internal_replication>
<replica><host>127.0.0.1</host><port>9000</port></replica></shard></stock></remote_servers>
<macros>{}</macros>
</clickhouse>"""
MACROS = "<shard>01</shard><replica>r1</replica>"
SERVE = r"""
import re, sys, tempfile, urllib.parse
import chdb
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

folder, port = sys.argv[1], int(sys.argv[2])
place = f"{folder}/store?config-file={folder}/cluster.xml"
root = chdb.connect(place)
root.query("CREATE DATABASE IF NOT EXISTS bare ENGINE = Atomic")
TRANSPORT = {"query", "database", "query_id", "session_id", "wait_end_of_query", "compress", "decompress", "default_format"}

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        given = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) if self.command == "POST" else b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        sql = given.get("query", "").encode() + (b"\n" if given.get("query") and body else b"") + body
        handle = chdb.connect(place)
        status, kind, answer = 200, "TabSeparated", b""
        try:
            database = given.get("database", "")
            handle.query(f"USE {'bare' if database in ('', 'default') else database}")
            if "cmVhZGVy" in self.headers.get("Authorization", ""):  # the user `reader`
                handle.query("SET readonly = 1")
            for name, value in given.items():
                if name not in TRANSPORT and not name.startswith("param_"):
                    handle.query(f"SET {name} = '{value}'")
            parameters = {name[6:]: value for name, value in given.items() if name.startswith("param_")}
            if inserted := re.match(rb"\s*(INSERT INTO .*?) FORMAT Native\s*?\n", sql, re.S):
                with tempfile.NamedTemporaryFile(suffix=".native") as file:
                    file.write(sql[inserted.end():])
                    file.flush()
                    handle.query(f"{inserted[1].decode()} FROM INFILE '{file.name}' FORMAT Native")
            else:
                text = sql.decode()
                kind = "Native" if text.rstrip().endswith("FORMAT Native") else kind
                answer = handle.query(text, kind, params=parameters).bytes()
        except RuntimeError as error:
            status, answer = 500, str(error).encode()
        finally:
            handle.close()
        self.send_response(status)
        code = re.search(rb"Code: (\d+)", answer) if status == 500 else None
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code[1].decode())
        elif answer:
            self.send_header("X-ClickHouse-Format", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass

server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
print("serving", flush=True)
server.serve_forever()
"""


class ClusterEngine:
    """One such child, with its own folder and a free port."""

    def __init__(self, folder: Path, macros: str = MACROS) -> None:
        folder.mkdir(parents=True)
        (folder / "cluster.xml").write_text(CONFIGURATION.format(macros))
        self.url = f"http://127.0.0.1:{free_port()}"
        self._said = folder / "said.txt"
        self._clients: list[Client] = []
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(folder), self.url.rpartition(":")[2]],
                stdout=said, stderr=said, cwd=folder,
            )  # fmt: skip
        until(self._serves, 40, "the engine serves")

    def _serves(self) -> bool:
        assert self.process.poll() is None, self._said.read_text()[-2000:]
        return "serving" in self._said.read_text()

    def client(self) -> Client:
        """A client of its own."""
        host, port = self.url.removeprefix("http://").split(":")
        made = clickhouse_connect.get_client(host=host, port=int(port), autogenerate_session_id=False, compress=False)
        self._clients.append(made)
        return made

    def end(self) -> None:
        """By force: replicated tables wait long for such a Keeper when they close."""
        for client in self._clients:
            client.close()
        self.process.kill()
        self.process.wait(10)
