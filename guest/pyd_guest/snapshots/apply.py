"""Create the entries of one layer below a directory, in overlayfs form.

OCI image-spec, "Image Layer Filesystem Changeset"; kernel, "Overlay Filesystem". Every path is
walked by the kernel inside the layer's root (openat2), every final name is created or changed
through its parent's descriptor and without following a link.

::

    name            →  the file itself
    .wh.name        →  character device 0:0 called name (hides it in the layers below)
    .wh..wh..opq    →  trusted.overlay.opaque=y on its directory (hides all that is below)

Markers hide lower layers only: what the same layer brings survives, whatever the order. Attributes
that steer overlayfs (``trusted.*``, ``user.overlay.*``) are never taken from an archive.
The process's umask must be 0.
"""

import errno
import os
import stat
from collections.abc import Iterable

from pyd_api.errors import InvalidRequestError
from pyd_guest.linux.openat2 import (
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_XDEV,
    open_in_root,
)
from pyd_guest.snapshots.tar_reader import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMBOLIC_LINK,
    Entry,
)
from pyd_guest.snapshots.trees import remove_tree

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_META = b".wh..wh."  # other files of aufs: no content of the image
_OPAQUE_XATTR = "trusted.overlay.opaque"
_DIRECTORY_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
_CACHED_DIRECTORIES = 128
_SET_ID = stat.S_ISUID | stat.S_ISGID
_IMPLICIT_MODE = 0o755
_XATTR_REFUSALS = {errno.EPERM, errno.ENOTSUP, errno.EINVAL, errno.ERANGE, errno.E2BIG}


class LayerWriter:
    """Applies entries in order, then `finish`; the caller closes it and owns ``root_fd``."""

    def __init__(self, root_fd: int) -> None:
        self._root = root_fd
        self._cache: dict[bytes, int] = {}
        self._times: dict[bytes, int] = {}
        self._hidden: set[bytes] = set()
        self.warnings: list[str] = []

    def apply(self, entry: Entry, payload: Iterable[memoryview]) -> None:
        """Create one entry. Raises InvalidRequestError for one that no layer may have."""
        path = clean(entry.name)
        head, _, name = path.rpartition(b"/")
        if name.startswith(_WHITEOUT):
            self._marker(head, name)
            return
        if any(part.startswith(_WHITEOUT) for part in head.split(b"/")):
            if any(part.startswith(_META) for part in head.split(b"/")):
                return
            raise InvalidRequestError("whiteout used as a directory")
        if not path:
            self._set_root(entry)
        elif entry.kind == REGULAR:
            self._file(path, head, name, entry, payload)
        elif entry.kind == DIRECTORY:
            self._directory(path, head, name, entry)
        elif entry.kind == HARD_LINK:
            self._hard_link(path, head, name, entry)
        else:
            self._special(path, head, name, entry)

    def finish(self) -> None:
        """Set the times of directories, which creating their children has changed."""
        for path, mtime_ns in self._times.items():
            head, _, name = path.rpartition(b"/")
            try:
                if not path:
                    os.utime(f"/proc/self/fd/{self._root}", ns=(mtime_ns, mtime_ns))
                    continue
                parent = self._parent(head, make=False)
                os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=parent, follow_symlinks=False)
            except FileNotFoundError:
                continue  # a later entry replaced the tree it was in

    def close(self) -> None:
        """Close the cached descriptors."""
        for fd in self._cache.values():
            os.close(fd)
        self._cache.clear()

    def _parent(self, path: bytes, *, make: bool = True) -> int:
        """Return a descriptor for the directory ``path``, which stays ours."""
        if not path:
            return self._root
        fd = self._cache.pop(path, -1)
        if fd < 0:
            try:
                fd = open_in_root(self._root, path, _DIRECTORY_FLAGS, resolve=_RESOLVE)
            except (FileNotFoundError, NotADirectoryError):
                if not make:
                    raise
                fd = self._make(path)
        if len(self._cache) >= _CACHED_DIRECTORIES:
            os.close(self._cache.pop(next(iter(self._cache))))
        self._cache[path] = fd  # last: the two used most recently always stay open
        return fd

    def _make(self, path: bytes) -> int:
        """Make the missing directories of ``path`` as every extractor does, and open the last."""
        fd = os.dup(self._root)
        end = -1
        while end < len(path):
            start, end = end + 1, path.find(b"/", end + 1)
            end = len(path) if end < 0 else end
            try:
                below = self._step(fd, path[:end], path[start:end])
            finally:
                os.close(fd)
            fd = below
        return fd

    def _step(self, parent: int, path: bytes, name: bytes) -> int:
        """Open the directory ``name``, made if it is missing or was deleted by this layer."""
        try:
            return open_in_root(self._root, path, _DIRECTORY_FLAGS, resolve=_RESOLVE)
        except FileNotFoundError:
            os.mkdir(name, _IMPLICIT_MODE, dir_fd=parent)
        except NotADirectoryError:
            if path not in self._hidden or not _is_whiteout(parent, name):
                raise
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, _IMPLICIT_MODE, dir_fd=parent)
        self._hide_lower(parent, path, name)
        return os.open(name, _DIRECTORY_FLAGS | os.O_NOFOLLOW, dir_fd=parent)

    def _hide_lower(self, parent: int, path: bytes, name: bytes) -> None:
        """Make a directory opaque that takes the place of something the same layer deleted."""
        if path in self._hidden:
            os.setxattr(_at(parent, name), _OPAQUE_XATTR, b"y", follow_symlinks=False)

    def _marker(self, head: bytes, name: bytes) -> None:
        if name == _OPAQUE:
            parent = self._parent(head)
            os.setxattr(f"/proc/self/fd/{parent}", _OPAQUE_XATTR, b"y")
            return
        if name.startswith(_META) and name != _META:
            return
        hidden = name.removeprefix(_WHITEOUT)
        if hidden in (b"", b".", b"..") or hidden.startswith(_WHITEOUT):
            raise InvalidRequestError(f"invalid whiteout name {_shown(name)}")
        parent = self._parent(head)
        path = head + b"/" + hidden if head else hidden
        self._hidden.add(path)
        try:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
        except FileExistsError:
            mode = os.stat(hidden, dir_fd=parent, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                self._hide_lower(parent, path, hidden)

    def _make_way(self, parent: int, path: bytes, name: bytes) -> None:
        """Remove what an earlier entry of this layer put at ``name``."""
        parent = os.dup(parent)
        try:
            self.close()  # cached parents may lie below, or behind, what goes
            remove_tree(parent, name)
        finally:
            os.close(parent)
        below = path + b"/"
        self._times = {
            p: t for p, t in self._times.items() if p != path and not p.startswith(below)
        }

    def _file(
        self, path: bytes, head: bytes, name: bytes, entry: Entry, payload: Iterable[memoryview]
    ) -> None:
        parent = self._parent(head)
        try:
            fd = os.open(name, _FILE_FLAGS, entry.mode, dir_fd=parent)
        except FileExistsError:
            self._make_way(parent, path, name)
            fd = os.open(name, _FILE_FLAGS, entry.mode, dir_fd=self._parent(head))
        try:
            if entry.extents is None:
                for piece in payload:
                    _write(fd, piece)
            else:
                _write_sparse(fd, entry, payload)
            if entry.uid or entry.gid:
                os.fchown(fd, entry.uid, entry.gid)
            if entry.mode & _SET_ID:
                os.fchmod(fd, entry.mode)
            if entry.xattrs:
                self._set_xattrs(f"/proc/self/fd/{fd}", entry)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _directory(self, path: bytes, head: bytes, name: bytes, entry: Entry) -> None:
        parent = self._parent(head)
        try:
            os.mkdir(name, entry.mode, dir_fd=parent)
        except FileExistsError:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
            if not stat.S_ISDIR(found):
                self._make_way(parent, path, name)
                parent = self._parent(head)
                os.mkdir(name, entry.mode, dir_fd=parent)
                self._hide_lower(parent, path, name)
            self._set_directory(parent, name, entry)
        else:
            if entry.uid or entry.gid or entry.mode & _SET_ID or entry.xattrs:
                self._set_directory(parent, name, entry)
        self._times[path] = entry.mtime_ns

    def _set_directory(self, parent: int, name: bytes, entry: Entry) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=parent)
        try:
            os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode)
            if entry.xattrs:
                self._set_xattrs(f"/proc/self/fd/{fd}", entry)
        finally:
            os.close(fd)

    def _set_root(self, entry: Entry) -> None:
        if entry.kind != DIRECTORY:
            raise InvalidRequestError("the root of a layer is not a directory")
        self._set_directory(self._root, b".", entry)
        self._times[b""] = entry.mtime_ns

    def _hard_link(self, path: bytes, head: bytes, name: bytes, entry: Entry) -> None:
        target = clean(entry.link, clamp=True)
        target_head, _, target_name = target.rpartition(b"/")
        if target == path:
            return
        try:
            source = self._parent(target_head, make=False)
            os.stat(target_name, dir_fd=source, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InvalidRequestError(
                f"hard link {_shown(path)} to {_shown(entry.link)}, which the layer does not have"
            ) from error
        for _ in range(2):
            parent, source = self._parent(head), self._parent(target_head, make=False)
            try:
                os.link(
                    target_name, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False
                )
            except FileExistsError:
                self._make_way(parent, path, name)
            else:
                return

    def _special(self, path: bytes, head: bytes, name: bytes, entry: Entry) -> None:
        parent = self._parent(head)
        try:
            _create(parent, name, entry)
        except FileExistsError:
            self._make_way(parent, path, name)
            parent = self._parent(head)
            _create(parent, name, entry)
        if entry.uid or entry.gid:
            os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.xattrs:
            self._set_xattrs(_at(parent, name), entry, follow=False)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _set_xattrs(self, where: str | bytes, entry: Entry, *, follow: bool = True) -> None:
        for key, value in entry.xattrs.items():
            if key.startswith((b"trusted.", b"user.overlay.")):
                continue
            try:
                os.setxattr(where, key, value, follow_symlinks=follow)
            except OSError as error:
                if error.errno not in _XATTR_REFUSALS:
                    raise
                self.warnings.append(
                    f"{_shown(entry.name)}: {os.fsdecode(key)} not set: {error.strerror}"
                )


def clean(name: bytes, *, clamp: bool = False) -> bytes:
    """Return ``name`` relative to the root, without ``.``, ``..`` and doubled slashes.

    Raises InvalidRequestError for one that climbs out; ``clamp`` stops it at the root instead.
    """
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if parts:
                parts.pop()
            elif not clamp:
                raise InvalidRequestError(f"{_shown(name)} leaves the layer")
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def _shown(name: bytes) -> str:
    return repr(name[:200].decode("utf-8", "backslashreplace"))


def _at(parent: int, name: bytes) -> bytes:
    """Name a child of a descriptor for the calls that have no ``at`` form."""
    return b"/proc/self/fd/%d/%s" % (parent, name)


def _is_whiteout(parent: int, name: bytes) -> bool:
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _create(parent: int, name: bytes, entry: Entry) -> None:
    if entry.kind == SYMBOLIC_LINK:
        os.symlink(entry.link, name, dir_fd=parent)
    elif entry.kind == FIFO:
        os.mkfifo(name, entry.mode, dir_fd=parent)
    elif entry.kind in (CHARACTER_DEVICE, BLOCK_DEVICE):
        kind = stat.S_IFCHR if entry.kind == CHARACTER_DEVICE else stat.S_IFBLK
        os.mknod(name, kind | entry.mode, os.makedev(*entry.device), dir_fd=parent)
    else:
        raise InvalidRequestError(f"archive entry {_shown(name)} has unknown type {entry.kind!r}")


def _write(fd: int, piece: memoryview) -> None:
    while len(piece) > (written := os.write(fd, piece)):
        piece = piece[written:]


def _write_sparse(fd: int, entry: Entry, payload: Iterable[memoryview]) -> None:
    os.ftruncate(fd, entry.size)
    pieces = iter(payload)
    piece = memoryview(b"")
    for offset, length in entry.extents or ():
        end = offset + length
        while offset < end:
            if not len(piece):
                piece = next(pieces)
            written = os.pwrite(fd, piece[: end - offset], offset)
            piece = piece[written:]
            offset += written
