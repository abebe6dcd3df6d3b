"""The directory file in force: read, verified against the pinned key, and never replaced by an older one."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from accord import directory as contract
from accord.directory import BadDirectory, Directory
from accord.reasons import Problem
from agency_node import keys
from agency_node.events import Event, log
from agency_node.store import reading, writing
from agency_node.store.in_force import directory_in_force, keep_directory


class DirectoryFile:
    """Reads directory.json again when it changes; the node's state keeps the newest one accepted."""

    def __init__(self, path: Path, federation_public: bytes, engine: Engine, now_ns: Callable[[], int]) -> None:
        """Read the file for the first time.

        Args:
            path: directory.json.
            federation_public: The pinned federation key, 32 bytes.
            engine: The node's state.
            now_ns: The clock.

        Raises:
            BadFile: It cannot be read.
            BadDirectory: It is not valid, or has run out.
            DirectoryOlder: It is older than one used before.
        """
        self._path = path
        self._federation_public = federation_public
        self._engine = engine
        self._now_ns = now_ns
        self._stamp = self._stat()
        self._directory = self._read()

    def current(self) -> Directory:
        """The directory in force. A changed file that is not valid is refused, logged, and the one in force stays.

        Raises:
            BadDirectory: The one in force has run out meanwhile.
        """
        stamp = self._stat()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._directory = self._read()
            except Problem as problem:
                log.warning(Event.DIRECTORY_REFUSED, reason=problem.reason)
        if not self._directory.current(self._now_ns()):
            raise BadDirectory(f"{self._path} has run out; get the newest one from the federation's operator")
        return self._directory

    def _read(self) -> Directory:
        data = keys.read(self._path)
        with reading(self._engine) as connection:
            there = directory_in_force(connection)
        found = contract.parse(data, self._federation_public, 0 if there is None else there[0])
        if not found.current(self._now_ns()):
            raise BadDirectory(f"{self._path} has run out; get the newest one from the federation's operator")
        if there is None or there[0] != found.version:
            with writing(self._engine) as connection:
                keep_directory(connection, found.version, data)
        log.info(Event.DIRECTORY_READ, directory_version=found.version, agencies=len(found.agencies))
        return found

    def _stat(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_ino)
