"""Runs candidates' code where it can do no harm: no network, no files, no environment."""
