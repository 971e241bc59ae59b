"""Kafka, the schema registry and PostgreSQL: used where settings name them, else started here."""

from hub.stack.lifecycle import Stack, find, held, running_since, standing_still, start

__all__ = ["Stack", "find", "held", "running_since", "standing_still", "start"]
