"""Urgent deliveries that wait are found without a look at all that wait before them."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("create index mailbox_urgent on mailbox (recipient, seq) where lane = 'urgent' and state in ('QUEUED', 'SENT')")


def downgrade() -> None:
    op.execute("drop index mailbox_urgent")
