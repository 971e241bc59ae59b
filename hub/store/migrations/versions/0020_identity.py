"""Who a person of the console is at an OpenID Connect provider, where that is not the login name."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute("alter table person add column identity text unique")


def downgrade() -> None:
    op.execute("alter table person drop column identity")
