"""Legal holds: days of which nothing is deleted, whatever its age."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("""
        create table legal_hold (
            name text primary key, first_day date not null, last_day date, -- Asia/Ho_Chi_Minh; null: until further notice
            reason text not null, by text not null, added_at timestamptz not null, ended_at timestamptz,
            check (last_day >= first_day))
    """)


def downgrade() -> None:
    op.execute("drop table legal_hold")
