"""What was erased at somebody's request: by keyed hashes and ids, so that whoever reads a topic or replays it leaves it out."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("""
        create table forgotten (
            key text primary key,             -- Kafka key: facility and keyed hash
            asked_at timestamptz not null,    -- keys of one request have one
            reason text not null,
            done_at timestamptz)              -- null: begun, and to be finished
    """)
    op.execute("""
        create table forgotten_id (           -- messages, events and dead letters of these keys
            id uuid primary key, asked_at timestamptz not null)
    """)


def downgrade() -> None:
    op.execute("drop table forgotten_id, forgotten")
