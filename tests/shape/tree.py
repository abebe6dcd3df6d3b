"""The project's own text files, for the tests that read the tree."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

_MADE: Final = frozenset({"build", "dist", "node_modules", "__pycache__"})
"""Folders that commands make; folders whose name starts with a dot are left out too."""

_TEXT: Final = frozenset(
    {
        ".cfg",
        ".css",
        ".go",
        ".html",
        ".ini",
        ".j2",
        ".json",
        ".jsonl",
        ".md",
        ".mod",
        ".proto",
        ".py",
        ".pyi",
        ".rego",
        ".service",
        ".sh",
        ".sql",
        ".toml",
        ".txt",
        ".yaml",
        ".yml",
    }
)
_TEXT_NAMES: Final = frozenset({"Makefile", "LICENSE", ".gitignore"})


def text_files() -> Iterator[tuple[Path, str]]:
    """Each text file of the project: path relative to the root, and content; generated message code is left out."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in _MADE and not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if (path.suffix in _TEXT or name in _TEXT_NAMES) and "_pb2" not in name:
                yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
