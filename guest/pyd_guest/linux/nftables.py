"""nftables by libnftables, in process (libnftables(3)); every call is one transaction.

The library is not thread-safe per context: one context, one lock. It talks to the network
namespace of the thread that made the context.
"""

import ctypes
import errno
import os
import select
import socket
import struct
import threading
from contextlib import ExitStack, suppress

from pyd_guest.linux.netlink import NETLINK_NETFILTER, Message, Netlink, attributes

LIBRARY = "libnftables.so.1"

_NFT_CTX_DEFAULT = 0
_NFT_CTX_OUTPUT_STATELESS = 1 << 2
_NFT_CTX_OUTPUT_NUMERIC_ALL = (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10)
_NFNL_SUBSYS_NFTABLES = 10
_NFT_MSG_GETGEN = 16
_NFTA_GEN_ID = 1
_NFNLGRP_NFTABLES = 7
_EVENT_BYTES = 64 * 1024


class Nftables:
    """One libnftables context and a socket that reads the ruleset's generation."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._library = _load()
        self._context = self._library.nft_ctx_new(_NFT_CTX_DEFAULT)
        if not self._context:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), LIBRARY)
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)
        self._library.nft_ctx_output_set_flags(
            self._context, _NFT_CTX_OUTPUT_STATELESS | _NFT_CTX_OUTPUT_NUMERIC_ALL
        )
        self._netlink = Netlink(NETLINK_NETFILTER)

    def close(self) -> None:
        """Free the context and close the sockets."""
        with self._lock:
            if self._context:
                self._library.nft_ctx_free(self._context)
                self._context = None
        self._netlink.close()

    def run(self, commands: str) -> str:
        """Apply all commands or none and return what they print.

        Raises OSError with the library's words.
        """
        with self._lock:
            if not self._context:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF), LIBRARY)
            status = self._library.nft_run_cmd_from_buffer(self._context, commands.encode("ascii"))
            output = self._library.nft_ctx_get_output_buffer(self._context)
            words = self._library.nft_ctx_get_error_buffer(self._context)
        if status:
            lines = words.decode("utf-8", "replace").splitlines()
            raise OSError(errno.EINVAL, lines[0] if lines else "nftables refused", LIBRARY)
        return str(output.decode("utf-8", "replace"))

    def generation(self) -> int:
        """Return a number that changes whenever anyone changes any rule."""
        request = Message((_NFNL_SUBSYS_NFTABLES << 8) | _NFT_MSG_GETGEN, bytes(4))
        (answer,) = self._netlink.request(request)
        return int(struct.unpack(">I", attributes(answer[4:])[_NFTA_GEN_ID])[0])


class Changes:
    """Tells when anyone, this process included, has changed the ruleset."""

    def __init__(self) -> None:
        with ExitStack() as undo:
            self._socket = socket.socket(
                socket.AF_NETLINK,
                socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
                NETLINK_NETFILTER,
            )
            undo.callback(self._socket.close)
            self._socket.bind((0, 1 << (_NFNLGRP_NFTABLES - 1)))
            self._stopped = os.eventfd(0, os.EFD_CLOEXEC)
            undo.pop_all()

    def wait(self) -> bool:
        """Wait for the next changes, many of them at once; return False once stopped."""
        poll = select.poll()
        for fd in (self._socket.fileno(), self._stopped):
            poll.register(fd, select.POLLIN)
        if self._stopped in dict(poll.poll()):
            return False
        with suppress(BlockingIOError):
            while True:
                try:
                    self._socket.recv(_EVENT_BYTES)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:  # more than the socket holds: changes, too
                        raise
        return True

    def stop(self) -> None:
        """End the wait, now and from now on."""
        os.eventfd_write(self._stopped, 1)

    def close(self) -> None:
        """Close the descriptors; nobody may be waiting."""
        self._socket.close()
        os.close(self._stopped)


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(LIBRARY)
    context = ctypes.c_void_p
    for name, arguments, result in (
        ("nft_ctx_new", [ctypes.c_uint32], context),
        ("nft_ctx_free", [context], None),
        ("nft_ctx_buffer_output", [context], ctypes.c_int),
        ("nft_ctx_buffer_error", [context], ctypes.c_int),
        ("nft_ctx_output_set_flags", [context, ctypes.c_uint], None),
        ("nft_run_cmd_from_buffer", [context, ctypes.c_char_p], ctypes.c_int),
        ("nft_ctx_get_output_buffer", [context], ctypes.c_char_p),
        ("nft_ctx_get_error_buffer", [context], ctypes.c_char_p),
    ):
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = result
    return library
