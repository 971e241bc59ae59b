"""Kafka, the schema registry and PostgreSQL: used where settings name them, else started here."""

from hub.stack.lifecycle import Stack, find, start

__all__ = ["Stack", "find", "start"]
