"""What is kept back because a number is all that two persons share is found among what rules hold without a look at every delivery."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.execute("create index journal_delivery_other_person on journal_delivery (recorded_at) where rule = 'nobody-other-person'")


def downgrade() -> None:
    op.execute("drop index journal_delivery_other_person")
