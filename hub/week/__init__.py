"""A simulated week of the nation, in small: what is sent, and what has to come of it."""
