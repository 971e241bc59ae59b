"""A slip is told by kind and number, whether the portal may have it is noted before it goes, and it has no time to be fetched in."""

from alembic import op

revision = "0009"
down_revision = "0008"

_UP = """
alter table portal_document
    add column record  text not null default '',  -- kind; facilities number referrals and follow-ups each from 1
    add column sent_at timestamptz;               -- since when the portal has it, or may have it
update portal_document document
set record = mailbox.record, sent_at = case when mailbox.state = 'ACKNOWLEDGED' or mailbox.tries > 0 then mailbox.changed_at end
from mailbox where mailbox.recipient = document.mailbox and mailbox.seq = document.seq;
update portal_document set sent_at = taken_at where sent_at is null and transaction <> '' and reasons = '[]';
alter table portal_document alter column record drop default;
update mailbox set expires_at = null where recipient = 'portal' and expires_at is not null;
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute("alter table portal_document drop column record, drop column sent_at")
