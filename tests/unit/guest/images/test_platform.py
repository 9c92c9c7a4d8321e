import pytest

from pyd_api.digest import digest_of
from pyd_api.errors import InvalidRequestError, NotFoundError
from pyd_guest.images.documents import OCI_MANIFEST, Descriptor
from pyd_guest.images.platform import Platform


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("Linux/X86_64", Platform("linux", "amd64")),
        ("linux/arm64/v8", Platform("linux", "arm64", "v8")),
        ("linux/armhf", Platform("linux", "arm", "v7")),
        ("aarch64", Platform("linux", "arm64")),
        ("windows/amd64", Platform("windows", "amd64")),
    ],
)
def test_parse(text: str, wanted: Platform) -> None:
    assert Platform.parse(text) == wanted


@pytest.mark.parametrize("text", ["", "/", "a/b/c/d", "linux/", "linux/a b", "x" * 10_000 + "/"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="cannot parse platform specifier"):
        Platform.parse(text)


def test_one_unknown_word() -> None:
    with pytest.raises(InvalidRequestError, match="unknown operating system or architecture"):
        Platform.parse("bogus")


def entry(name: str, **platform: str) -> Descriptor:
    return Descriptor(OCI_MANIFEST, digest_of(name.encode()), 1, {}, platform or None)


ARM = [
    entry("5", os="linux", architecture="arm", variant="v5"),
    entry("6", os="linux", architecture="arm", variant="v6"),
    entry("8", os="linux", architecture="arm", variant="v8"),
    entry("64", os="linux", architecture="arm64", variant="v8"),
    entry("x", os="linux", architecture="amd64"),
    entry("unknown", os="unknown", architecture="unknown"),
]


@pytest.mark.parametrize(
    ("platform", "name"),
    [
        ("linux/arm/v7", "6"),
        ("linux/arm/v6", "6"),
        ("linux/arm64", "64"),
        ("linux/amd64", "x"),
        ("linux/arm64/v8", "64"),
    ],
)
def test_choose(platform: str, name: str) -> None:
    assert Platform.parse(platform).choose(ARM).digest == digest_of(name.encode())


def test_choose_nothing() -> None:
    with pytest.raises(NotFoundError, match="no matching manifest for linux/s390x in the manifest"):
        Platform.parse("linux/s390x").choose(ARM)
    with pytest.raises(NotFoundError):
        Platform.parse("linux/arm/v4").choose(ARM[:1])
    only = entry("only")
    assert Platform.parse("linux/s390x").choose([only]) is only


def test_the_host() -> None:
    host = Platform.host()
    assert host.fits(host)
    assert str(Platform("linux", "arm64", "v8")) == "linux/arm64/v8"
