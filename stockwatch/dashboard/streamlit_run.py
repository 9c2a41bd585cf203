"""`python -m streamlit`, with one change: half a head does not hold a connection for ever, which matters in a room.

Streamlit makes uvicorn's configuration by itself and asks for the protocol "auto" before it imports the page's application.
"""

from __future__ import annotations

import uvicorn.config
from streamlit.web.cli import main

from stockwatch.component.lean import without
from stockwatch.component.serving import HurriedProtocol

with without("pyarrow"):
    import pandas  # noqa: F401 - before anything else loads it

if __name__ == "__main__":
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{HurriedProtocol.__module__}:{HurriedProtocol.__name__}"
    main(prog_name="streamlit")
