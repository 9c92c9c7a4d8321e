"""Tables, units, ports: what is printed is what Docker prints."""

from typing import TYPE_CHECKING

import pytest

from pyd_host.cli.container.ports import display_ports
from pyd_host.cli.table import align
from pyd_host.cli.units import binary_size, ellipsis, human_duration, human_size, quote

if TYPE_CHECKING:
    from pyd_host.client.wire import Port

TCP = "tcp"


def test_columns_are_at_least_ten_wide_and_three_apart() -> None:
    lines = ["NAMES\tSTATUS\tX", "cli-a\tUp 3 minutes\ty"]
    assert align(lines) == "NAMES     STATUS         X\ncli-a     Up 3 minutes   y\n"


def test_a_line_without_a_cell_starts_its_column_afresh() -> None:
    assert align(["a\tb", "none", "long-long-long\tb"]) == "a         b\nnone\nlong-long-long   b\n"
    assert align([]) == ""


@pytest.mark.parametrize(
    ("size", "digits", "text"),
    [(0, 3, "0B"), (999, 3, "999B"), (1_982_333, 3, "1.98MB"), (1_982_333, 4, "1.982MB"),
     (2048, 3, "2.05kB"), (5e12, 4, "5TB")],
)  # fmt: skip
def test_sizes(size: float, digits: int, text: str) -> None:
    assert human_size(size, digits) == text


def test_memory_is_shown_in_powers_of_two() -> None:
    assert binary_size(25_276_502_016) == "23.54GiB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "Less than a second"), (1.9, "1 second"), (59, "59 seconds"), (60, "About a minute"),
        (119, "About a minute"), (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"),
        (2 * 3600, "2 hours"), (47 * 3600, "47 hours"), (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"), (60 * 86400, "2 months"), (730 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def test_text_is_cut_and_quoted() -> None:
    assert ellipsis("x" * 20, 20) == "x" * 20
    assert ellipsis("x" * 21, 20) == "x" * 19 + "…"
    assert quote('a"b\\c\n\x01é\u200b') == '"a\\"b\\\\c\\n\\x01é\\u200b"'


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([(80, 0, "")], "80/tcp"),
        ([(80, 8080, "0.0.0.0"), (80, 8080, "::")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([(80, 0, ""), (81, 0, ""), (83, 0, "")], "80-81/tcp, 83/tcp"),
        ([(80, 80, "0.0.0.0"), (81, 81, "0.0.0.0"), (90, 9, "1.2.3.4")],
         "0.0.0.0:80-81->80-81/tcp, 1.2.3.4:9->90/tcp"),
    ],
)  # fmt: skip
def test_ports(ports: list[tuple[int, int, str]], text: str) -> None:
    wire: list[Port] = []
    for private, public, ip in reversed(ports):
        port: Port = {"PrivatePort": private, "Type": TCP}
        if ip:
            port["PublicPort"], port["IP"] = public, ip
        wire.append(port)
    assert display_ports(wire) == text
