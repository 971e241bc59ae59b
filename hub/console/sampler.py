"""One look at the hub every two seconds, for all pages of this process, and only while one is open."""

from dataclasses import dataclass

from psycopg_pool import AsyncConnectionPool

from hub.contract.settings import Settings


@dataclass
class Sampler:
    """One for a process."""

    settings: Settings
    pool: AsyncConnectionPool
