"""Every mutant of doses, guards, names and steps is caught by a test, or changes no dose, cap, interval or path.

Rule: what changes files works in a copy, never in the checkout. cosmic-ray and not mutmut: it changes one file there
and runs the ordinary test command; mutmut runs functions that it rewrote, and leaves decorated ones out.
"""

import shlex
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.toml")
# The tests of each file, the quick ones first: the first that fails ends a mutant.
DOSES = (
    "tests/reactions/test_guards.py",
    "tests/reactions/test_patient_caps.py",
    "tests/reactions/test_dose.py",
    "tests/reactions/test_dose_words.py",
    "tests/reactions/test_names.py",
)
STEPS = (
    "tests/reactions/test_steps.py",
    "tests/reactions/test_resolve.py",
    "tests/reactions/test_progression.py",
    "tests/reactions/test_machine.py",
    "tests/reactions/test_traps.py",
    "tests/reactions/test_treatment.py",
)
OFFERS = "tests/reactions/test_offers.py"
MODULES = {
    "engine/reactions/dose.py": DOSES,
    "engine/reactions/guards.py": DOSES,
    "engine/reactions/names.py": DOSES,
    "engine/reactions/resolve.py": (*STEPS, OFFERS),
    "engine/reactions/protocol.py": (OFFERS, *STEPS),
    "engine/reactions/severity.py": (
        "tests/reactions/test_suggestions.py",
        "tests/reactions/test_severity.py",
        "tests/reactions/test_progression.py",
        "tests/reactions/test_resolve.py",
    ),
}
TEST_LIMIT_S = 120
WORKERS = 2

# The same examples for every mutant and in every run, so that a survivor is one the next time too.
CONFTEST = """
from hypothesis import HealthCheck, settings

settings.register_profile(
    "mutants", deadline=None, derandomize=True, database=None, max_examples=20,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("mutants")
"""

# In these modules "|" stands between types only: no number comes out of it.
CONFIG = """
[cosmic-ray]
module-path = "{module}"
timeout = {limit}.0
excluded-modules = []
test-command = "{command}"
[cosmic-ray.distributor]
name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = ["core/ReplaceBinaryOperator_BitOr_.*"]
"""


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """A change of one line, found again by its text, which moves with the line."""

    module: str
    operator: str
    line: str
    became: str


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_no_mutant_that_changes_a_dose_a_cap_or_an_interval_survives(tmp_path: Path) -> None:
    """Whatever cosmic-ray changes in these files, a test fails, but for the listed changes that move nothing."""
    with ThreadPoolExecutor(max_workers=WORKERS) as workers:
        folders = [tmp_path / Path(module).stem for module in MODULES]
        outcomes = list(workers.map(_mutated, MODULES, MODULES.values(), folders))
    counts = sum((count for count, _ in outcomes), Counter[str]())
    survivors = {mutant for _, survived in outcomes for mutant in survived}
    known = equivalent()
    print(dict(counts))  # noqa: T201 - the figures of docs/BENCHMARKS.md

    assert set(counts) <= {"killed", "survived", "left out"}
    assert counts["killed"] > counts["survived"]
    assert sorted(survivors - set(known)) == []
    assert sorted(set(known) - survivors) == [], "killed or gone by now: take it off the list"


def test_every_mutant_that_may_survive_has_its_reason() -> None:
    """A listed mutant names a line that is in its module, and says why it changes no dose, cap or interval."""
    for mutant, why in equivalent().items():
        lines = [line.strip() for line in (ROOT / mutant.module).read_text().splitlines()]

        assert all(line in lines for line in mutant.line.split("\n")), mutant
        assert mutant.became != mutant.line
        assert len(why.split()) > 3, mutant


def equivalent() -> dict[Mutant, str]:
    """Return the mutants that may survive, each with its reason."""
    rows = tomllib.loads(EQUIVALENT.read_text())["mutant"]
    return {
        Mutant(row["module"], row["operator"], row["line"].strip(), became.strip()): row["why"]
        for row in rows
        for became in row["became"]
    }


def _mutated(module: str, tests: tuple[str, ...], folder: Path) -> tuple[Counter[str], set[Mutant]]:
    """Mutate one module in a copy of its own and return the counts and the survivors."""
    _copy(folder)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    _run(folder, *command)
    config = CONFIG.format(module=module, limit=TEST_LIMIT_S, command=shlex.join(command))
    (folder / "mutants.toml").write_text(config)
    tools = Path(sys.executable).parent
    _run(folder, str(tools / "cosmic-ray"), "init", "mutants.toml", "mutants.sqlite")
    _run(folder, str(tools / "cr-filter-operators"), "mutants.sqlite", "mutants.toml")
    _run(folder, str(tools / "cosmic-ray"), "exec", "mutants.toml", "mutants.sqlite")
    return _read(folder / "mutants.sqlite", module)


def _copy(folder: Path) -> None:
    """Copy what the tests of doses and guards need: the engine, the generated stubs and the tests themselves."""
    for part in ("engine", "tests/reactions", "tests/workflows"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "build" / "gen", folder, dirs_exist_ok=True)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "tests" / "__init__.py").touch()
    (folder / "tests" / "conftest.py").write_text(CONFTEST)


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"


def _read(file: Path, module: str) -> tuple[Counter[str], set[Mutant]]:
    """Return how many ended how, by the result's own word, and the survivors."""
    with closing(sqlite3.connect(file)) as results:
        rows = results.execute(
            "SELECT operator_name, worker_outcome, test_outcome, diff"
            " FROM mutation_specs LEFT JOIN work_results USING (job_id)"
        ).fetchall()
    counts: Counter[str] = Counter()
    survivors: set[Mutant] = set()
    for operator, worker, outcome, diff in rows:
        ended = str(outcome).lower() if worker == "NORMAL" else str(worker).lower()
        counts["left out" if ended == "skipped" else ended] += 1
        if ended == "survived":
            survivors.add(Mutant(module, operator.removeprefix("core/"), *_change(diff)))
    return counts, survivors


def _change(diff: str) -> tuple[str, str]:
    """Return the lines of a unified diff that went and that came, without indentation."""
    body = diff[diff.index("\n@@") :]
    went, came = (
        "\n".join(line[1:].strip() for line in body.split("\n") if line.startswith(sign)).strip()
        for sign in "-+"
    )
    return went, came
