"""What push tried in vain is found without a look at everything that waits."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("create index mailbox_tried on mailbox (recipient, seq) where tries > 0")


def downgrade() -> None:
    op.execute("drop index mailbox_tried")
