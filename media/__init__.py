"""Floor 4: the call and its proof, in processes of its own. Knows no clinical data."""
