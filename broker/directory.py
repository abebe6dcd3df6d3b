"""The directory file in force: read, verified, and never replaced by an older one.

The broker relays the file and cannot change it. The highest version ever used
lies beside the file, so that an older one is refused after a restart too.
"""

import os
from collections.abc import Callable
from pathlib import Path

from accord import directory as contract
from accord.directory import BadDirectory, Directory, DirectoryOlder
from broker import keys
from broker.events import Event, log


class DirectoryFile:
    """Reads directory.json again when it changes."""

    def __init__(self, path: Path, federation_public: bytes, now_ns: Callable[[], int]) -> None:
        """Read the file for the first time.

        Args:
            path: directory.json.
            federation_public: The pinned federation key, 32 bytes.
            now_ns: The clock.

        Raises:
            BadFile: It cannot be read.
            BadDirectory: It is not valid, or has run out.
            DirectoryOlder: It is older than one used before.
        """
        self._path = path
        self._seen = path.with_suffix(".version")
        self._federation_public = federation_public
        self._now_ns = now_ns
        self._stamp = self._stat()
        self._data, self._directory = self._read()

    @property
    def data(self) -> bytes:
        """The bytes of the directory in force."""
        self.current()
        return self._data

    def current(self) -> Directory:
        """The directory in force. A changed file that is not valid is refused, logged, and the one in force stays.

        Raises:
            BadDirectory: The one in force has run out meanwhile.
        """
        stamp = self._stat()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._data, self._directory = self._read()
            except (keys.BadFile, BadDirectory, DirectoryOlder) as problem:
                log.warning(Event.DIRECTORY_REFUSED, reason=problem.reason)
        if not self._directory.current(self._now_ns()):
            raise BadDirectory(f"{self._path} has run out; get the newest one from the federation's operator")
        return self._directory

    def _read(self) -> tuple[bytes, Directory]:
        data = keys.read(self._path)
        seen = int(keys.read(self._seen)) if self._seen.exists() else 0
        found = contract.parse(data, self._federation_public, seen)
        if not found.current(self._now_ns()):
            raise BadDirectory(f"{self._path} has run out; get the newest one from the federation's operator")
        if found.version > seen:
            keys.replace(self._seen.parent, self._seen.name, str(found.version).encode())
        log.info(Event.DIRECTORY_READ, directory_version=found.version, agencies=len(found.agencies))
        return data, found

    def _stat(self) -> tuple[int, int]:
        try:
            # At every step of every question: `Path.stat` takes twice as long.
            found = os.stat(self._path)
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_ino)
