"""The page's server: Streamlit as an ASGI application, with plotly's own script and routes of ours beside it.

Nothing is loaded from another host. Before anything else: a Host or an Origin that is not ours is refused, then the password.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from stockwatch.component.doors import Doors
from stockwatch.dashboard import download, log, shell, socket
from stockwatch.dashboard.access import PasswordGate, session_key
from stockwatch.dashboard.addresses import admitted
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.headers import ContentSecurity
from stockwatch.dashboard.packed import Packed, warm

_file = Path(sys.argv[1])
_told = Connection.load(_file)
_page = _told.settings.dashboard
threading.Thread(target=warm, args=[shell.OWN], name="warm", daemon=True).start()

app = st.App(
    Path(__file__).with_name("page.py"),
    routes=[
        *shell.routes(socket.the_reader, socket.ahead),
        *socket.routes,
        *download.routes(_told, lambda: socket.the_reader().source()),
        *log.routes(_told.settings.data_dir),
    ],
    middleware=[
        Middleware(Doors, admits=admitted(_page.host, _page.allowed_hosts)),
        Middleware(ContentSecurity, report=_page.powerbi_url),
        Middleware(PasswordGate, password=_page.password, key=session_key(_file.parent)),
        Middleware(Packed, own=shell.OWN),
    ],
)
