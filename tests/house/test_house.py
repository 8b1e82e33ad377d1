"""The house rules that no linter knows: sizes, words, bans, licences of lock files, hazards hit by tests."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
DATA_FILES = {"chart.py"}
BANNED_NAMES = ("Manager", "Helper", "Util")
BANNED_FILES = {"utils.py", "helpers.py", "common.py", "core.py", "manager.py", "misc.py"}


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


PYTHON = tracked("*.py")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_files_stay_readable() -> None:
    """No Python file but a chart is longer than 500 lines, and no room has a drawer for leftovers."""
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in PYTHON
        if (lines := len(path.read_text().splitlines())) > MAX_FILE_LINES and path.name not in DATA_FILES
    }

    assert too_long == {}
    assert [path for path in PYTHON if path.name in BANNED_FILES] == []


def test_functions_stay_short() -> None:
    """No function is longer than 60 lines."""
    too_long = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in PYTHON
        for node in functions(path)
        if node.end_lineno is not None and node.end_lineno - node.lineno >= MAX_FUNCTION_LINES
    ]

    assert too_long == []


def test_no_class_is_a_drawer() -> None:
    """No class is named Manager, Helper or Util; a coverage manager is a person."""
    named = [
        node.name
        for path in PYTHON
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and node.name.endswith(BANNED_NAMES)
        and not node.name.endswith("CoverageManager")
    ]

    assert named == []


def test_every_module_says_what_it_is_for() -> None:
    """Every module of the product opens with a docstring."""
    silent = [
        str(path.relative_to(ROOT))
        for path in PYTHON
        if path.relative_to(ROOT).parts[0] in {"engine", "integrations", "media"}
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert silent == []


def test_every_test_says_what_it_proves() -> None:
    """Every test function carries the sentence it proves."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in PYTHON
        if path.name.startswith("test_")
        for node in functions(path)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert silent == []


def test_nothing_is_left_over() -> None:
    """No leftover marks, mocks or skips, and no address of a package registry, in anything that is tracked."""
    marks = re.compile(
        r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|unittest" + r"\.mock|pytest\.mark\.(?:skip|xfail)\b"
    )
    registries = re.compile("py" + r"pi\.org|files\.python" + r"hosted|registry\.npm" + r"js")
    found = [
        str(path.relative_to(ROOT))
        for path in tracked("*.py", "*.toml", "*.txt", "*.in", "*.md", "*.proto", "Makefile", ".ci/run")
        if path != Path(__file__)
        and (registries.search(text := path.read_text()) or (path.suffix == ".py" and marks.search(text)))
    ]

    assert found == []


def test_broad_excepts_are_outermost_and_say_why() -> None:
    """`except Exception` stands only beside a reason."""
    bare = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in PYTHON
        if path.relative_to(ROOT).parts[0] in {"engine", "integrations", "media"}
        for line in path.read_text().splitlines()
        if re.match(r"\s*except( Exception| BaseException)?( as \w+)?:", line)
        and "noqa: BLE001 - " not in line
        and not re.match(r"\s*except BaseException", line)
    ]

    assert bare == []


def test_requirements_are_pinned_and_hashed() -> None:
    """Every requirement of a lock file has a version and a hash."""
    text = (ROOT / "requirements/dev.txt").read_text()
    pins = re.findall(r"^[A-Za-z0-9_.\-\[\]]+==", text, re.MULTILINE)

    assert pins
    assert len(re.findall(r"^\S+==\S+ .*\\$", text, re.MULTILINE)) == len(pins)


def hazards() -> dict[str, str]:
    rows = re.findall(r"^\| (H-\d\d) \|.*\| ([^|]+) \|$", (ROOT / "docs/SAFETY.md").read_text(), re.MULTILINE)
    return {number: state.split(":")[0].strip() for number, state in rows}


def marked() -> set[str]:
    text = "\n".join(path.read_text() for path in PYTHON if path.relative_to(ROOT).parts[0] == "tests")
    return set(re.findall(r"mark\.hazard\(\s*((?:\"H-\d\d\",?\s*)+)\)", text)) and set(
        re.findall(r"\"(H-\d\d)\"", "\n".join(re.findall(r"mark\.hazard\(([^)]*)\)", text)))
    )


@pytest.mark.parametrize("number", sorted(hazards()))
def test_every_controlled_hazard_is_hit_by_a_marked_test(number: str) -> None:
    """A hazard that the table calls controlled or partly controlled has a test that proves it."""
    assert hazards()[number] in {"controlled", "partly", "later"}
    assert (number in marked()) == (hazards()[number] != "later")


def test_no_test_names_an_unknown_hazard() -> None:
    """Every hazard named by a test is in the table."""
    assert marked() <= set(hazards())


def test_the_version_is_said_once_and_the_changelog_knows_it() -> None:
    """The project's version has a section in the changelog."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_documents_link_to_things_that_exist() -> None:
    """Every relative link in the documents leads to a file or folder."""
    broken = [
        f"{path.relative_to(ROOT)} → {target}"
        for path in tracked("*.md")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())
        if not (path.parent / target).exists()
    ]

    assert broken == []
