"""``pyd tag``: another name for an image."""

from pyd_api.errors import InvalidRequestError
from pyd_api.reference import Reference
from pyd_host.cli.command import Command, Invocation
from pyd_host.cli.errors import PlainError
from pyd_host.client.engine import image_segment


def run(call: Invocation) -> int:
    """Name an image."""
    source, target = call.arguments
    try:
        reference = Reference.parse(target)
    except InvalidRequestError as error:
        message = f'Error parsing reference: "{target}" is not a valid repository/tag: {error}'
        raise PlainError(message) from error
    if reference.digest is not None:
        raise PlainError("refusing to create a tag with a digest reference")
    call.engine.post(
        f"/images/{image_segment(source)}/tag",
        {"repo": reference.familiar_name, "tag": reference.tag},
    )
    return 0


COMMAND = Command(
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    run,
    minimum=2,
    maximum=2,
    aliases=("image tag", "tag"),
)
