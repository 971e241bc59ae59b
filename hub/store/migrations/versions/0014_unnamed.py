"""Results of nobody are found among what rules hold without a look at every delivery, as slips are."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.execute("create index journal_delivery_unnamed on journal_delivery (recorded_at) where rule = 'nobody-unnamed'")


def downgrade() -> None:
    op.execute("drop index journal_delivery_unnamed")
