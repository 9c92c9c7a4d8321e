"""Tell a peer that has gone from a peer that has only finished sending (epoll(7), EPOLLHUP).

After the end of input a socket stays readable, so an ordinary reader would spin on it. An epoll
set that asks for nothing still reports EPOLLHUP, and is itself a descriptor a loop can wait on.
"""

import asyncio
import select
from collections.abc import Callable


def watch_hangup(
    loop: asyncio.AbstractEventLoop, transport: asyncio.BaseTransport, callback: Callable[[], None]
) -> Callable[[], None]:
    """Call ``callback`` once when both directions of the connection are shut.

    Returns what ends the watch; call it before the transport is closed.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return lambda: None
    watch = select.epoll()
    watch.register(sock.fileno(), 0)

    def end() -> None:
        if not watch.closed:
            loop.remove_reader(watch.fileno())
            watch.close()

    def hung_up() -> None:
        end()
        callback()

    loop.add_reader(watch.fileno(), hung_up)
    return end
