"""The byte layout of netlink messages, and answers of every kind from a scripted peer."""

import errno
import socket
import struct

import pytest

from pyd_guest.linux import netlink
from pyd_guest.linux.netlink import Message, Netlink, attribute, attributes, nested, text, u32


def test_attribute_is_padded_and_its_length_is_not() -> None:
    assert attribute(3, b"abc") == struct.pack("=HH", 7, 3) + b"abc\0"
    assert text(3, "eth0") == struct.pack("=HH", 9, 3) + b"eth0\0\0\0\0"
    assert u32(4, 1500) == struct.pack("=HHI", 8, 4, 1500)


def test_attributes_round_trip() -> None:
    data = text(3, "eth0") + nested(18, u32(1, 7), attribute(2, b"\1"))
    parts = attributes(data)
    assert parts[3] == b"eth0\0"
    assert attributes(parts[18]) == {1: struct.pack("=I", 7), 2: b"\1"}


@pytest.mark.parametrize("data", [b"", b"\1", b"\0\0\0\0", b"\3\0\1\0", b"\xff\xff\1\0ab"])
def test_damaged_attributes_end_the_walk(data: bytes) -> None:
    attributes(data)


class Kernel(Netlink):
    """A Netlink whose answers are given beforehand."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__(netlink.NETLINK_ROUTE)
        self._socket.close()
        self._socket, self._peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for answer in answers:
            self._peer.send(answer)

    def close(self) -> None:
        super().close()
        self._peer.close()


def answer(kind: int, sequence: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload


def acknowledged(sequence: int, code: int = 0, extra: bytes = b"", flags: int = 0) -> bytes:
    request = bytes(16)
    return answer(netlink.NLMSG_ERROR, sequence, struct.pack("=i", -code) + request + extra, flags)


def test_first_failure_is_raised_with_its_subject() -> None:
    words = attribute(1, b"no such thing\0")
    kernel = Kernel(
        acknowledged(1) + acknowledged(2, errno.EEXIST, words, 0x300),
        acknowledged(9, errno.EIO),  # of an exchange that was given up
        acknowledged(3, errno.ENODEV),
    )
    with pytest.raises(FileExistsError) as failure:
        kernel.request(Message(16, b"", subject="a"), Message(16, b"", subject="b"),
                       Message(16, b"", subject="c"))  # fmt: skip
    assert failure.value.filename == "b"
    assert failure.value.strerror == "File exists (no such thing)"
    kernel.close()


def test_objects_come_back_without_acknowledgements() -> None:
    kernel = Kernel(answer(16, 1, b"onex") + answer(16, 1, b"two2"), acknowledged(1))
    assert kernel.request(Message(18, b"")) == [b"onex", b"two2"]
    kernel.close()


def test_interrupted_dump_is_asked_again() -> None:
    done = struct.pack("=i", 0)
    kernel = Kernel(
        answer(16, 1, b"old!", 0x10) + answer(netlink.NLMSG_DONE, 1, done, 0x10),
        answer(16, 2, b"new!") + answer(netlink.NLMSG_DONE, 2, done),
    )
    assert kernel.dump(Message(18, b"")) == [b"new!"]
    kernel.close()


def test_dump_that_never_settles_is_given_up() -> None:
    done = struct.pack("=i", 0)
    kernel = Kernel(*(answer(netlink.NLMSG_DONE, number, done, 0x10) for number in range(1, 9)))
    with pytest.raises(OSError, match="busy"):
        kernel.dump(Message(18, b"", subject="links"))
    kernel.close()
