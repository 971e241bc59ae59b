"""What a rule holds from whoever would get it is found without a look at every delivery."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("create index journal_delivery_held on journal_delivery (recorded_at) where rule = 'nobody-held-sensitive'")


def downgrade() -> None:
    op.execute("drop index journal_delivery_held")
