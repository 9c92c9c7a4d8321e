"""Netlink: several requests in one message, every answer checked (netlink(7), RFC 3549).

::

    nlmsghdr   length u32 │ type u16 │ flags u16 │ sequence u32 │ port u32
    payload    the family's fixed header, then attributes
    attribute  length u16 │ type u16 │ data │ zeros up to a multiple of 4

All numbers are in the machine's byte order; nftables alone puts big-endian numbers in attributes.
A socket belongs for ever to the network namespace of the thread that opened it.
"""

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE_BYTES = 64 * 1024
_ANSWER_TIMEOUT_S = 10
_DUMP_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Message:
    """One request; ``subject`` is the name that an error carries."""

    type: int
    payload: bytes
    flags: int = 0
    subject: str = ""


def attribute(kind: int, data: bytes) -> bytes:
    """Encode one attribute with its padding."""
    return _ATTRIBUTE.pack(4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Encode an attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """Encode a zero-terminated string."""
    return attribute(kind, value.encode("ascii") + b"\0")


def u32(kind: int, value: int) -> bytes:
    """Encode a number in the machine's byte order."""
    return attribute(kind, struct.pack("=I", value))


def attributes(data: bytes) -> dict[int, bytes]:
    """Decode attributes; of repeated ones the last stays."""
    found = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


class Netlink:
    """A netlink socket in the namespace of the thread that makes it; thread-safe afterwards."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
        )
        self._lock = threading.Lock()
        self._sequence = 0
        try:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
            # The kernel answers inside send(); the timeout is for a kernel that does not.
            self._socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _ANSWER_TIMEOUT_S, 0)
            )
            self._socket.bind((0, 0))
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """Close the socket; twice is harmless."""
        self._socket.close()

    def request(self, *messages: Message) -> list[bytes]:
        """Send all messages at once and return the payloads that came back, acknowledgements gone.

        Later messages are tried though an earlier one failed; the first failure is raised as
        OSError with the message's subject.
        """
        with self._lock:
            first = self._sequence + 1
            self._sequence += len(messages)
            self._socket.send(
                b"".join(
                    _HEADER.pack(
                        _HEADER.size + len(message.payload),
                        message.type,
                        message.flags | NLM_F_REQUEST | NLM_F_ACK,
                        number,
                        0,
                    )
                    + message.payload
                    for number, message in enumerate(messages, first)
                )
            )
            return self._answers(messages, first)

    def dump(self, message: Message) -> list[bytes]:
        """Return every object of a kind; asks again when the table changed while it was read."""
        for _ in range(_DUMP_ATTEMPTS):
            try:
                return self.request(
                    Message(
                        message.type, message.payload, message.flags | NLM_F_DUMP, message.subject
                    )
                )
            except InterruptedError:
                continue
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), message.subject)

    def _answers(self, messages: tuple[Message, ...], first: int) -> list[bytes]:
        waiting = set(range(first, first + len(messages)))
        failures: dict[int, OSError] = {}
        payloads = []
        while waiting:
            for kind, flags, sequence, payload in _split(self._socket.recv(_RECEIVE_BYTES)):
                if sequence not in waiting:
                    continue  # the rest of an exchange that was given up
                if flags & NLM_F_DUMP_INTR:
                    failures[sequence] = InterruptedError(errno.EINTR, os.strerror(errno.EINTR))
                if kind not in (NLMSG_ERROR, NLMSG_DONE):
                    payloads.append(payload)
                    continue
                waiting.discard(sequence)
                (code,) = struct.unpack_from("=i", payload)
                if code:
                    subject = messages[sequence - first].subject
                    failures[sequence] = _failure(-code, kind, flags, payload, subject)
        if failures:
            raise failures[min(failures)]
        return payloads


def _split(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        yield kind, flags, sequence, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _failure(number: int, kind: int, flags: int, payload: bytes, subject: str) -> OSError:
    """Make the error of an nlmsgerr: code i32, the request's header, then what went wrong."""
    words = os.strerror(number)
    if kind == NLMSG_ERROR and flags & _NLM_F_ACK_TLVS and flags & _NLM_F_CAPPED:
        reason = attributes(payload[4 + _HEADER.size :]).get(_NLMSGERR_ATTR_MSG)
        if reason:
            words = f"{words} ({reason.rstrip(bytes(1)).decode('ascii', 'replace')})"
    return OSError(number, words, subject)
