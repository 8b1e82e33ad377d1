"""docs/RECORD.md says what the code requires. `python -m tests.records.test_docs` writes its table anew."""

from pathlib import Path

from engine.records.slots import required_markdown

PAGE = Path(__file__).parents[2] / "docs" / "RECORD.md"
MARK = "<!-- fields -->\n"


def test_the_table_of_required_fields_is_fresh() -> None:
    """The page's table is the one the code makes."""
    _, _, table = PAGE.read_text("utf-8").partition(MARK)

    assert table.strip() == required_markdown().strip()


if __name__ == "__main__":
    before, _, _ = PAGE.read_text("utf-8").partition(MARK)
    PAGE.write_text(f"{before}{MARK}\n{required_markdown()}", encoding="utf-8")
