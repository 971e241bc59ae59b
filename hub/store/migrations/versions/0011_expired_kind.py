"""A receipt of what expired knows of what kind that was: not all of them are told to the sender."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("alter table receipt_outbox add column record text not null default ''")


def downgrade() -> None:
    op.execute("alter table receipt_outbox drop column record")
