"""The six stories, one file each."""
