"""Put the routers together into one application.

::

    server ─▶ Edge (version, headers) ─▶ FastAPI ─▶ router of a noun ─▶ engine
                                            └─▶ missing.py: parts of the API that pyd lacks

There are no documentation pages: the API is Docker's.
"""

import platform

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from pyd_api.errors import PydError
from pyd_guest.api import errors, missing
from pyd_guest.api.edge import API_VERSION, Edge


def engine_headers(version: str) -> dict[str, str]:
    """Return the headers that every answer carries."""
    return {
        "Api-Version": API_VERSION,
        "Docker-Experimental": "false",
        "Ostype": "linux",
        "Server": f"pyd/{version} ({platform.system().lower()})",
    }


def build_app(*routers: APIRouter, version: str) -> Edge:
    """Return the ASGI application over ``routers``; what they do not serve is answered clearly."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # newer FastAPI would export what it sees when the environment says so
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        exception_handlers={
            PydError: errors.on_pyd_error,
            HTTPException: errors.on_http_error,
            RequestValidationError: errors.on_validation_error,
            Exception: errors.on_bug,
        },
    )
    for router in (*routers, missing.router()):
        app.include_router(router)
    return Edge(app, headers=engine_headers(version))
