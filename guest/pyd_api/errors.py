"""The errors that cross the wire: one class per kind of answer.

::

    PydError
    ├─ NotModifiedError     304   already in the state asked for
    ├─ InvalidRequestError  400   the request itself is wrong
    ├─ UnauthorizedError    401   a registry wants other credentials
    ├─ ForbiddenError       403   never allowed for this object
    ├─ NotFoundError        404   no such object
    ├─ ConflictError        409   the object's state or another object is in the way
    ├─ InternalError        500   pyd or the machine failed
    ├─ UnsupportedError     501   a part of the API that pyd does not have
    └─ UnavailableError     503   not now, or not on this node

The server turns a class into its status in one handler; the client turns the status back.
"""

from typing import ClassVar


class PydError(Exception):
    """A refusal or failure in words for the user; ``hint`` says what to do next."""

    status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotModifiedError(PydError):
    """The object is already as asked for."""

    status = 304


class InvalidRequestError(PydError):
    """The request cannot be understood or contradicts itself."""

    status = 400


class UnauthorizedError(PydError):
    """Credentials are missing or wrong."""

    status = 401


class ForbiddenError(PydError):
    """The operation is never allowed on this object."""

    status = 403


class NotFoundError(PydError):
    """No object has that name or id."""

    status = 404


class ConflictError(PydError):
    """The present state, or another object, is in the way."""

    status = 409


class InternalError(PydError):
    """Something failed that the client could not have prevented."""

    status = 500


class UnsupportedError(PydError):
    """A part of the API that pyd does not implement."""

    status = 501


class UnavailableError(PydError):
    """Not possible now, or not on this node."""

    status = 503


ERRORS: tuple[type[PydError], ...] = (
    NotModifiedError,
    InvalidRequestError,
    UnauthorizedError,
    ForbiddenError,
    NotFoundError,
    ConflictError,
    InternalError,
    UnsupportedError,
    UnavailableError,
)
_BY_STATUS = {error.status: error for error in ERRORS}


def from_status(status: int, message: str) -> PydError:
    """Make the error that a server answered with; an unknown status becomes InternalError."""
    return _BY_STATUS.get(status, InternalError)(message)
