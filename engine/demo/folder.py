"""The folder that a demonstration writes into: claimed while it runs, and cleared only of what one wrote before."""

import fcntl
import os
import shutil
from pathlib import Path

#: Left in the folder of a demonstration: only what it wrote itself is cleared away by the next one.
MARK = ".attend-demo"
DOCUMENTS = ("incident_report", "discharge_summary", "allergy_update", "ems_handover")


class Unplayable(Exception):
    """The demonstration cannot start; the message says what to do."""


def claim(out: Path) -> int:
    """Make the folder, without what an earlier playing left in it; return the handle that keeps others out of it.

    Raises Unplayable for a folder that holds anything and no mark of an earlier playing (it is somebody else's), and
    for one that a demonstration or its server still uses: nothing in it is touched.
    """
    mark = out / MARK
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()) and not mark.exists():
            raise Unplayable(f"{out} is not empty and no demonstration wrote it; choose another --out")
        claimed = os.open(mark, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unplayable(f"--out: {out} cannot be used: {error.strerror}") from None
    if not _lock(claimed) or not all(map(_free, (out / "data").glob("*.lock"))):
        os.close(claimed)
        raise Unplayable(
            f"{out} is in use by a demonstration that still serves; end it, or choose another --out"
        )
    for folder in ("data", "fhir", "far-side"):
        shutil.rmtree(out / folder, ignore_errors=True)
    for paper in ("record.json", "record.pdf", "oru.hl7", "ports.json", *document_files()):
        (out / paper).unlink(missing_ok=True)
    return claimed


def _lock(handle: int) -> bool:
    """Take a file for this process; return whether nobody else has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _free(path: Path) -> bool:
    """Return whether no process holds a lock file."""
    with path.open("rb") as one:
        return _lock(one.fileno())


def document_files() -> tuple[str, ...]:
    """Return the files of a reaction's documents, JSON before PDF."""
    return tuple(f"{kind.replace('_', '-')}.{form}" for kind in DOCUMENTS for form in ("json", "pdf"))
