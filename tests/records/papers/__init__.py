"""Reaction documents: from real machines' histories to words and pages."""
