"""The one layer of the embedded image: busybox, a link for each applet, and a minimal ``/etc``.

The same binary gives the same bytes: sorted names, fixed times and owners.
"""

import io
import tarfile
from collections.abc import Iterator

_DIRECTORIES = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "run": 0o755,
    "sbin": 0o755,
    "sys": 0o755,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "usr/sbin": 0o755,
    "var": 0o755,
    "var/log": 0o755,
    "var/spool": 0o755,
    "var/tmp": 0o1777,
    "var/www": 0o755,
}
_FILES = {
    "etc/group": """root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
mail:x:8:
www-data:x:33:
users:x:100:
nogroup:x:65534:
""",
    "etc/hostname": "base\n",
    "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/os-release": 'NAME="pyd base"\nID=pyd-base\nPRETTY_NAME="pyd base image (busybox)"\n',
    "etc/passwd": """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
""",
    "etc/profile": "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
    "etc/resolv.conf": "",
}
_SHADOW = "root:*:::::::\nnobody:*:::::::\n"


def layer(program: bytes, applets: list[str]) -> bytes:
    """Write the layer's archive; the same input gives the same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, mode in _DIRECTORIES.items():
            _add(archive, name, tarfile.DIRTYPE, mode)
        _add(archive, "bin/busybox", tarfile.REGTYPE, 0o755, program)
        for name in _links(applets):
            _add(archive, name, tarfile.LNKTYPE, 0o755, link="bin/busybox")
        for name, text in _FILES.items():
            _add(archive, name, tarfile.REGTYPE, 0o644, text.encode())
        _add(archive, "etc/shadow", tarfile.REGTYPE, 0o640, _SHADOW.encode())
    return out.getvalue()


def _links(applets: list[str]) -> Iterator[str]:
    """Yield the applets' paths that lie where the image has a directory."""
    for name in sorted(set(applets)):
        if name.rpartition("/")[0] in _DIRECTORIES and name != "bin/busybox":
            yield name


def _add(
    archive: tarfile.TarFile, name: str, kind: bytes, mode: int, data: bytes = b"", link: str = ""
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(data), link
    archive.addfile(entry, io.BytesIO(data))
