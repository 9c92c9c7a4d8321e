"""One place where errors become answers: status and ``{"message": ...}``.

Docker Engine API, "Errors". A PydError carries its status; anything else is a bug: it is logged
with its traceback and answered with 500 and a sentence that says nothing of the inside.
"""

import logging

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pyd_api.errors import NotModifiedError, PydError

_log = logging.getLogger(__name__)

NOT_FOUND = "page not found"


def error_response(status: int, message: str) -> Response:
    """Make an answer with Docker's error shape; 304 has no body."""
    if status == NotModifiedError.status:
        return Response(status_code=status)
    return JSONResponse({"message": message}, status)


async def on_pyd_error(_request: Request, error: Exception) -> Response:
    """Answer with the status of the error's class."""
    if not isinstance(error, PydError):
        raise error
    if error.status >= 500:
        _log.info("%s %s: %s", _request.method, _request.url.path, error.message)
    return error_response(error.status, error.message)


async def on_http_error(_request: Request, error: Exception) -> Response:
    """Answer what the router refuses; like dockerd, a wrong method is an unknown page."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status in (404, 405):
        return error_response(404, NOT_FOUND)
    detail = error.detail if isinstance(error, HTTPException) else "internal error"
    return error_response(status, str(detail))


async def on_validation_error(_request: Request, error: Exception) -> Response:
    """Answer what FastAPI's validation refuses with 400, naming the value."""
    if not isinstance(error, RequestValidationError) or not (faults := error.errors()):
        return error_response(400, "invalid request")
    where = ".".join(str(part) for part in faults[0]["loc"])
    return error_response(400, f"invalid request: {where}: {faults[0]['msg']}")


async def on_bug(_request: Request, _error: Exception) -> Response:
    """Answer 500 without a word about the inside; `edge` logs the error, which goes on to it."""
    return error_response(500, "internal error: see the log of the daemon")


def log_bug(method: str, path: str, error: BaseException) -> None:
    """Write what went wrong, with its traceback, to the log only."""
    _log.error("%s %s failed", method, path, exc_info=error)
