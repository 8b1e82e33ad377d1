"""Writes the golden files anew: `python -m tests.records.golden`. Only before the first release of a format."""

import json
from pathlib import Path

from engine.records.sheet import sheet
from tests.records import stories

HERE = Path(__file__).parent


def main() -> None:
    """Write the severe session's file and what its printed form shows."""
    data = stories.severe().file()
    HERE.joinpath("severe.json").write_bytes(data)
    shown = json.dumps(sheet(json.loads(data)), indent=1, ensure_ascii=False)
    HERE.joinpath("severe.sheet.json").write_text(shown + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
