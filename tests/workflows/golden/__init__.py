"""What every machine allows, as tables a physician can read; `python -m tests.workflows.golden` writes them anew."""
