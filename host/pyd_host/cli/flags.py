"""Command-line flags with the grammar that Docker's users type (POSIX and GNU, as pflag has it).

``--name value``, ``--name=value``, ``-n value``, ``-nvalue``, ``-n=value``, clusters such as
``-it``, ``--`` as the end of the flags. A command that runs a program stops reading flags at its
first argument. Flags are data: a table of `Flag` per command, one parser for all.
"""

from collections.abc import Callable, Sequence

from pyd_host.cli.errors import UsageError

FLAG_ERROR_STATUS = 125


class Flag:
    """One flag: how it is typed, what it takes, what it does.

    ``kind`` is the word that the usage text shows and selects the parser of the value; "bool"
    takes no value unless written with ``=``; kinds in ``REPEATED`` collect every use.
    """

    __slots__ = ("default", "help", "hidden", "kind", "name", "short", "type_word")

    def __init__(
        self,
        name: str,
        short: str,
        kind: str,
        help_text: str,
        default: object = None,
        *,
        hidden: bool = False,
        type_word: str | None = None,
    ) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        self.help = help_text
        self.default = default
        self.hidden = hidden
        self.type_word = kind if type_word is None else type_word

    @property
    def shown(self) -> str:
        """The flag as error messages show it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Values:
    """What the user typed, by flag name, with the defaults behind it."""

    __slots__ = ("_defaults", "_given")

    def __init__(self, flags: Sequence[Flag]) -> None:
        self._given: dict[str, object] = {}
        self._defaults = {flag.name: flag.default for flag in flags}

    def put(self, flag: Flag, *, value: object) -> None:
        """Record one use of a flag."""
        if flag.kind in REPEATED:
            earlier = self._given.setdefault(flag.name, [])
            if isinstance(earlier, list):
                earlier.append(value)
        else:
            self._given[flag.name] = value

    def given(self, name: str) -> bool:
        """Tell whether the user typed the flag."""
        return name in self._given

    def flag(self, name: str) -> bool:
        """Return a boolean flag's value."""
        return bool(self._given.get(name, self._defaults[name]))

    def text(self, name: str) -> str:
        """Return a text flag's value; empty when not given."""
        value = self._given.get(name, self._defaults[name])
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> int:
        """Return a numeric flag's value; 0 when not given and without default."""
        value = self._given.get(name, self._defaults[name])
        return value if isinstance(value, int) else 0

    def texts(self, name: str) -> list[str]:
        """Return every value of a repeatable flag."""
        value = self._given.get(name)
        return [str(item) for item in value] if isinstance(value, list) else []


def parse(
    flags: Sequence[Flag], words: Sequence[str], *, interspersed: bool
) -> tuple[Values, list[str]]:
    """Split ``words`` into flag values and arguments. Raises UsageError in pflag's words."""
    by_name = {flag.name: flag for flag in flags}
    by_short = {flag.short: flag for flag in flags if flag.short}
    values = Values(flags)
    arguments: list[str] = []
    rest = list(words)
    rest.reverse()  # a stack: a flag may take the next word
    while rest:
        word = rest.pop()
        if word == "--":
            arguments.extend(reversed(rest))
            break
        if len(word) < 2 or word[0] != "-":
            arguments.append(word)
            if not interspersed:
                arguments.extend(reversed(rest))
                break
        elif word.startswith("--"):
            _long(word, by_name, rest, values)
        else:
            _cluster(word, by_short, rest, values)
    return values, arguments


def _refuse(message: str) -> UsageError:
    return UsageError(message, status=FLAG_ERROR_STATUS, prefixed=False)


def _long(word: str, by_name: dict[str, Flag], rest: list[str], values: Values) -> None:
    name, equals, value = word[2:].partition("=")
    if not name or name[0] == "-":
        raise _refuse(f"bad flag syntax: {word}")
    flag = by_name.get(name)
    if flag is None:
        raise _refuse(f"unknown flag: --{name}")
    if equals:
        _store(flag, value, values)
    elif flag.kind == "bool":
        values.put(flag, value=True)
    elif rest:
        _store(flag, rest.pop(), values)
    else:
        raise _refuse(f"flag needs an argument: --{name}")


def _cluster(word: str, by_short: dict[str, Flag], rest: list[str], values: Values) -> None:
    letters = word[1:]
    while letters:
        flag = by_short.get(letters[0])
        if flag is None:
            raise _refuse(f"unknown shorthand flag: {letters[0]!r} in -{letters}")
        following = letters[1:]
        if len(following) > 1 and following[0] == "=":
            _store(flag, following[1:], values)
            return
        if flag.kind == "bool":
            values.put(flag, value=True)
            letters = following
        elif following:
            _store(flag, following, values)
            return
        elif rest:
            _store(flag, rest.pop(), values)
            return
        else:
            raise _refuse(f"flag needs an argument: {letters[0]!r} in -{letters}")


def _store(flag: Flag, text: str, values: Values) -> None:
    parser = _PARSERS.get(flag.kind)
    try:
        values.put(flag, value=text if parser is None else parser(text))
    except ValueError as error:
        raise _refuse(f'invalid argument "{text}" for "{flag.shown}" flag: {error}') from error


_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def parse_bool(text: str) -> bool:
    """Read a truth value as Go's strconv does."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _bounded_int(name: str, low: int, high: int) -> Callable[[str], int]:
    def parse_int(text: str) -> int:
        value = _whole_number(text)
        if value is None:
            raise ValueError(f'strconv.{name}: parsing "{text}": invalid syntax')
        if not low <= value <= high:
            raise ValueError(f'strconv.{name}: parsing "{text}": value out of range')
        return value

    return parse_int


def _whole_number(text: str) -> int | None:
    """Read a number as Go does with base 0: 0x, 0o and 0b, and octal behind a leading zero."""
    digits = text.lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    if len(text) - len(digits) > 1 or "_" in text or not text.isascii() or " " in text:
        return None
    try:
        return int(text, 8 if octal else 0)
    except ValueError:
        return None


_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def parse_bytes(text: str) -> int:
    """Read ``512m``, ``1.5GiB``; units are powers of 1024, as Docker's memory flags have them."""
    number = text.rstrip("bBiIkKmMgGtTpP ")
    unit = text[len(number) :].strip().lower()
    prefix = unit.removesuffix("b").removesuffix("i") if unit != "b" else ""
    digits = number.replace(".", "", 1)
    if prefix not in _UNITS or unit in {"i", "ib"} or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"invalid size: '{text}'")
    return int(float(number) * _UNITS[prefix])


def parse_swap(text: str) -> int:
    """Read a size, where -1 means without limit."""
    return -1 if text == "-1" else parse_bytes(text)


def parse_nano_cpus(text: str) -> int:
    """Read a decimal number of CPUs as billionths."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"failed to parse {text} as a rational number")
    fraction = fraction.rstrip("0")
    if len(fraction) > len("123456789"):
        raise ValueError("value is too precise")
    return int(whole or "0") * 10**9 + int(fraction.ljust(9, "0"))


_NANOS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


def parse_duration(text: str) -> int:
    """Read a Go duration (``1m30s``) as nanoseconds."""
    rest = text.lstrip("+-")
    if text == "0":
        return 0
    total = 0.0
    shown = f'time: invalid duration "{text}"'
    if not rest:
        raise ValueError(shown)
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("nuµmsh"))]
        rest = rest[len(unit) :]
        if not unit and number:
            raise ValueError(f'time: missing unit in duration "{text}"')
        try:
            total += float(number) * _NANOS[unit]
        except (ValueError, KeyError):
            raise ValueError(shown) from None
    return -int(total) if text[0] == "-" else int(total)


def _filter(text: str) -> str:
    if text and "=" not in text:
        raise ValueError("bad format of filter (expected name=value)")
    return text


_PARSERS: dict[str, Callable[[str], object]] = {
    "bool": parse_bool,
    "int": _bounded_int("ParseInt", -(1 << 63), (1 << 63) - 1),
    "uint": _bounded_int("ParseUint", 0, (1 << 64) - 1),
    "uint16": _bounded_int("ParseUint", 0, (1 << 16) - 1),
    "bytes": parse_bytes,
    "swap": parse_swap,
    "decimal": parse_nano_cpus,
    "duration": parse_duration,
    "filter": _filter,
}
REPEATED = frozenset({"list", "filter"})
