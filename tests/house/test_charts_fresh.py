"""The pictures in docs/charts are the charts."""

from tests.house.charts import FOLDER, pages


def test_the_pictures_are_drawn_from_the_charts() -> None:
    """Every page is what the generator draws now, and none is left of a chart that went; else run it again."""
    drawn = pages()

    assert {path.name for path in FOLDER.glob("*.md")} == set(drawn)
    for name, text in drawn.items():
        assert (FOLDER / name).read_text() == text, f"run python -m tests.house.charts for {name}"
