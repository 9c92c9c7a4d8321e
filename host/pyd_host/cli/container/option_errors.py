"""How a flag's value is refused."""

from pyd_host.cli.errors import UsageError
from pyd_host.cli.flags import FLAG_ERROR_STATUS


def bad_argument(shown: str, value: str, reason: str) -> UsageError:
    """Make the error of a value that its flag cannot take, in pflag's words."""
    return UsageError(
        f'invalid argument "{value}" for "{shown}" flag: {reason}',
        status=FLAG_ERROR_STATUS,
        prefixed=False,
    )
