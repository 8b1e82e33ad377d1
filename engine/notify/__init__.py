"""Floor 4: pages to people. Never carries patient data."""
