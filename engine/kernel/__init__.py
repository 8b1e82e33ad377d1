"""Floor 0: the words and glue every room stands on. Knows no medicine."""
