"""Visits whose assembled claim may lack a charge are found among what rules hold without a look at every delivery."""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.execute("create index journal_delivery_line_replaced on journal_delivery (recorded_at) where rule = 'claim-line-replaced'")


def downgrade() -> None:
    op.execute("drop index journal_delivery_line_replaced")
