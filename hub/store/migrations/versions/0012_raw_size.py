"""How many bytes each message has; null of those that an older release has read."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("alter table journal_message add column raw_size bigint")


def downgrade() -> None:
    op.execute("alter table journal_message drop column raw_size")
