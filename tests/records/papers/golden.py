"""The documents of every case as they were read: `python -m tests.records.papers.golden` writes them anew."""

import json
from pathlib import Path
from typing import Any

from engine.records.papers.render import MAKERS, paper
from tests.records.papers.cases import CASES, case

FOLDER = Path(__file__).with_name("golden")


def shown(name: str) -> dict[str, Any]:
    """Return a case's four documents; the pack's hash is left out, so that another row does not change them."""
    driver = CASES[name]()
    found = {kind: json.loads(paper(kind, case(driver)).json) for kind in MAKERS}
    for document in found.values():
        document["head"]["pack"] = document["head"]["pack"].split(" · ")[0]
    return found


def main() -> None:
    """Write the golden files."""
    FOLDER.mkdir(exist_ok=True)
    for name in CASES:
        text = json.dumps(shown(name), indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
