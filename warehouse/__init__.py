"""Talks to the database: loads what was read, rebuilds what is derived, keeps what must not be lost.

Knows nothing of Dagster or of any vendor's API.
"""
