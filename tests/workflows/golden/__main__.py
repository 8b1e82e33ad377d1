"""Write the tables of every machine: `python -m tests.workflows.golden`; read the difference before keeping it."""

from tests.workflows.machines import NAMES
from tests.workflows.tables import GOLDEN, table

for name in NAMES:
    (GOLDEN / f"{name}.txt").write_text(table(name))
