"""Make a jar that is nothing but a manifest with a class path, so that `java -jar` runs libraries in a folder.

Usage: assemble.py OUT.jar MAIN_CLASS FOLDER...
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

_LINE_BYTES = 70  # the jar format allows 72 with the line end; longer lines continue after a space


def fold(line: str) -> bytes:
    """Break a manifest line into continuation lines."""
    left = line.encode()
    pieces = [left[:_LINE_BYTES]]
    left = left[_LINE_BYTES:]
    while left:
        pieces.append(b" " + left[: _LINE_BYTES - 1])
        left = left[_LINE_BYTES - 1 :]
    return b"\r\n".join(pieces)


def assemble(out: Path, main_class: str, folders: list[Path]) -> int:
    """Write the jar; the folders come in their order on the class path, the jars of each by name.

    Raises:
        ValueError: if a folder holds no jar.
    """
    jars: list[Path] = []
    for folder in folders:
        found = sorted(folder.resolve().glob("*.jar"))
        if not found:
            raise ValueError(f"{folder}: no jars: got an empty folder; expected libraries")
        jars += found
    lines = [
        "Manifest-Version: 1.0",
        f"Main-Class: {main_class}",
        "Class-Path: " + " ".join(jar.as_uri() for jar in jars),
    ]
    with zipfile.ZipFile(out, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", b"\r\n".join(fold(line) for line in lines) + b"\r\n\r\n")
    return len(jars)


if __name__ == "__main__":
    print(assemble(Path(sys.argv[1]), sys.argv[2], [Path(folder) for folder in sys.argv[3:]]), "jars")
