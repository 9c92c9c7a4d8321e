"""The snapshot store: committed layers below, one writable overlayfs snapshot per container.

::

    snapshots/
      version                   "1"
      layers/                   committed, read only (layers.py)
      active/<key>/             trusted.pyd.parent: ChainID of the image, empty for none
      active/<key>/upper/       what the container changed
      active/<key>/work/        overlayfs's own
      temp/                     being made or removed (sweeper.py)

Mount options name layers through two descriptors that stay open (``/proc/self/fd/N/<short>/fs``):
125 layers fit into the page that mount(2) takes, and no character of the data root needs escaping.
Kernel: "Overlay Filesystem". ``redirect_dir=nofollow`` and ``metacopy=off`` keep attributes of an
upper layer from steering the mount.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Lock

from pyd_api.digest import ChainID
from pyd_api.errors import ConflictError, InternalError, NotFoundError
from pyd_guest.linux.filesystem import syncfs
from pyd_guest.linux.mount import mount, mount_points, unmount
from pyd_guest.snapshots.claims import Claims
from pyd_guest.snapshots.init_layer import build
from pyd_guest.snapshots.layers import FORMAT_VERSION, LayerStore
from pyd_guest.snapshots.sweeper import Sweeper
from pyd_guest.snapshots.trees import disk_usage
from pyd_guest.snapshots.unpacking import Batch
from pyd_guest.state.database import Database

_PARENT_XATTR = "trusted.pyd.parent"
_OPTIONS = "index=off,metacopy=off,redirect_dir=nofollow"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Snapshots:
    """Prepare, mount and remove snapshots; safe to use from many threads."""

    def __init__(self, root: Path, db: Database) -> None:
        root.mkdir(mode=0o710, parents=True, exist_ok=True)
        _check_version(root / "version")
        self._root = root
        self._active = root / "active"
        self._active.mkdir(mode=0o700, exist_ok=True)
        self._sweeper = Sweeper(root / "temp")
        self.layers = LayerStore(root / "layers", db, self._sweeper)
        self.claims = Claims()
        self._db = db
        self._lock = Lock()
        self._lowers: dict[ChainID | None, str] = {}
        self._parents: dict[str, ChainID | None] = {}
        self._on_release: Callable[[ChainID], None] = lambda _: None
        self._root_fd = os.open(root, _DIRECTORY)
        self._layers_fd = os.open(self.layers.root, _DIRECTORY)

    def recover(self) -> None:
        """Undo what an earlier daemon left half-made (at start only, after reconciling)."""
        for point in mount_points(self._root / "temp"):
            unmount(point, detach=True)
        self._sweeper.recover()
        self.layers.recover()
        for key in self.keys():
            try:
                self._parent_of(key)
            except NotFoundError:
                self._sweeper.discard(self._active / key)

    def close(self) -> None:
        """Finish removals and close descriptors; snapshots that are mounted stay mounted."""
        self._sweeper.close()
        os.close(self._root_fd)
        os.close(self._layers_fd)

    @property
    def device(self) -> int:
        """The file system that the store is on."""
        return os.fstat(self._root_fd).st_dev

    def unpacking(self) -> Batch:
        """Begin to unpack layers; see `Batch`."""
        return Batch(self.layers, self._sweeper)

    def sync(self) -> None:
        """Bring everything in the store to disk, by one syncfs."""
        syncfs(self._root_fd)

    def prepare(self, key: str, parent: ChainID | None) -> None:
        """Make the writable snapshot ``key`` over ``parent``; on failure leave nothing behind.

        Raises ConflictError when the key is taken and InternalError for a damaged layer.
        """
        _check_key(key)
        with self.claims.hold([parent] if parent else [], self.layers.has) as missing:
            for chain in missing:
                raise InternalError(
                    f"layer {chain} is missing", hint="pull or load the image again"
                )
            try:
                self._prepare(key, parent)
            except OSError as error:
                raise InternalError(f"cannot make the writable layer: {_reason(error)}") from error

    def _prepare(self, key: str, parent: ChainID | None) -> None:
        top = Path(self._lower(parent).partition(":")[0]).stat()
        path = self._active / key
        with ExitStack() as undo:
            try:
                path.mkdir(mode=0o700)
            except FileExistsError as error:
                raise ConflictError(f"snapshot {key} exists") from error
            undo.callback(self._sweeper.discard, path)
            upper = path / "upper"
            upper.mkdir()
            if top.st_uid or top.st_gid:
                os.chown(upper, top.st_uid, top.st_gid)
            upper.chmod(stat.S_IMODE(top.st_mode))
            (path / "work").mkdir(mode=0o700)
            # Last: a snapshot without it is half-made. An attribute spares an inode (0.15 ms).
            os.setxattr(path, _PARENT_XATTR, (parent or "").encode())
            self._parents[key] = parent
            undo.pop_all()

    def mount(self, key: str, target: Path, *, volatile: bool = False) -> None:
        """Put the snapshot where ``target`` is, by one system call.

        ``volatile`` skips syncs of the writable layer, for containers that nobody keeps. Raises
        InternalError that names the missing layer or says what the kernel did.
        """
        parent = self._parent_of(key)
        base = f"/proc/self/fd/{self._root_fd}/active/{key}"
        options = (
            f"lowerdir={self._lower(parent)},upperdir={base}/upper,workdir={base}/work,{_OPTIONS}"
        )
        try:
            self._mount(key, target, f"{options},volatile" if volatile else options)
        except OSError as error:
            self._explain(parent)
            raise InternalError(f"cannot mount the root file system: {_reason(error)}") from error

    def _mount(self, key: str, target: Path, options: str) -> None:
        try:
            mount("overlay", target, "overlay", 0, options)
        except OSError:
            # A volatile snapshot that was mounted before carries a mark against a second mount.
            if not self._sweeper.discard(self._active / key / "work" / "work" / "incompat"):
                raise
            mount("overlay", target, "overlay", 0, options)

    def _explain(self, parent: ChainID | None) -> None:
        """Raise InternalError that names the layer if a missing one is why a mount failed."""
        if parent is not None:
            self.forget(parent)
            self.layers.lowers(parent)

    def remove(self, key: str) -> None:
        """Remove the snapshot if it is there; it must not be mounted.

        The key is free on return; the files go in the background.
        """
        _check_key(key)
        try:
            parent = self._parent_of(key)
        except NotFoundError:
            parent = None
        self._parents.pop(key, None)
        if self._sweeper.discard(self._active / key) and parent is not None:
            self._sweeper.later(partial(self._on_release, parent))

    def on_release(self, call: Callable[[ChainID], None]) -> None:
        """Name who is told, in the background, which layer a removed snapshot stood on."""
        self._on_release = call

    def keys(self) -> set[str]:
        """List the keys of all writable snapshots."""
        return {path.name for path in self._active.iterdir()}

    def parents(self) -> set[ChainID]:
        """List the images' layers that writable snapshots stand on."""
        found = set()
        for key in self.keys():
            try:
                parent = self._parent_of(key)
            except NotFoundError:
                continue  # removed meanwhile
            if parent is not None:
                found.add(parent)
        return found

    def diff_size(self, key: str) -> int:
        """Return the bytes in files that the container has changed or made."""
        _check_key(key)
        try:
            fd = os.open(self._active / key / "upper", _DIRECTORY)
        except FileNotFoundError as error:
            raise NotFoundError(f"no such snapshot: {key}") from error
        try:
            return disk_usage(fd)
        finally:
            os.close(fd)

    def directories(self, key: str) -> tuple[Path, Path]:
        """Name the upper and the work directory, for inspect."""
        return self._active / key / "upper", self._active / key / "work"

    def forget(self, chain: ChainID) -> None:
        """Drop what is remembered of a deleted layer."""
        with self._lock:
            self._lowers.pop(chain, None)

    def warm(self, parent: ChainID | None) -> None:
        """Make the engine-made layer over ``parent`` now, so that no start has to."""
        self._lower(parent)

    def _parent_of(self, key: str) -> ChainID | None:
        if key in self._parents:
            return self._parents[key]
        _check_key(key)
        try:
            text = os.getxattr(self._active / key, _PARENT_XATTR).decode()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODATA):
                raise
            raise NotFoundError(f"no such snapshot: {key}") from error
        parent = self._parents[key] = ChainID(text) if text else None
        return parent

    def _lower(self, parent: ChainID | None) -> str:
        """Return the ``lowerdir`` value for snapshots over ``parent``."""
        lowers = self._lowers.get(parent)
        if lowers is None:
            with self._lock:
                shorts = self.layers.lowers(parent) if parent is not None else []
                init = f"{shorts[0] if shorts else 'none'}.init"
                below = [f"/proc/self/fd/{self._layers_fd}/{short}/fs" for short in shorts]
                if not (self.layers.root / init).is_dir():
                    self._make_init(init, below)
                lowers = ":".join([f"/proc/self/fd/{self._layers_fd}/{init}/fs", *below])
                self._lowers[parent] = lowers
        return lowers

    def _make_init(self, name: str, below: list[str]) -> None:
        """Build the engine-made layer through a merged view, since links in the image decide."""
        temp = self._sweeper.new()
        with ExitStack() as undo:
            undo.callback(self._sweeper.discard, temp)
            for directory in ("fs", "work", "merged", "empty"):
                (temp / directory).mkdir(mode=0o755)
            top = Path(below[0] if below else f"{temp}/empty").stat()
            os.chown(temp / "fs", top.st_uid, top.st_gid)
            (temp / "fs").chmod(stat.S_IMODE(top.st_mode))
            here = f"/proc/self/fd/{self._root_fd}/temp/{temp.name}"
            lower = ":".join(below) or f"{here}/empty"
            options = f"lowerdir={lower},upperdir={here}/fs,workdir={here}/work,{_OPTIONS}"
            mount("overlay", temp / "merged", "overlay", 0, f"{options},volatile")
            try:
                fd = os.open(temp / "merged", _DIRECTORY)
            finally:
                unmount(temp / "merged", detach=True)  # lives on until fd is closed
            try:
                build(fd)
            finally:
                os.close(fd)
            # No sync: a journalling file system shows the rename only with the entries before it,
            # and the files are empty.
            self._place_init(temp, name)

    def _place_init(self, temp: Path, name: str) -> None:
        kept = self._sweeper.new()
        try:
            (temp / "fs").rename(kept / "fs")
            kept.rename(self.layers.root / name)
        except OSError:
            self._sweeper.discard(kept)
            raise


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _check_key(key: str) -> None:
    if not key or key in (".", "..") or "/" in key or "\0" in key or "," in key or ":" in key:
        raise InternalError(f"bad snapshot key {key!r}")


def _check_version(path: Path) -> None:
    try:
        version = path.read_text().strip()
    except FileNotFoundError:
        path.write_text(f"{FORMAT_VERSION}\n")
        return
    if version != str(FORMAT_VERSION):
        raise InternalError(
            f"{path.parent} has format {version[:20]}, this pyd knows {FORMAT_VERSION}",
            hint="run the newer pyd that wrote it, or choose another --data-root",
        )
