"""What the client of the insurance portal knows of a document beyond the state of its delivery."""

from alembic import op

revision = "0005"
down_revision = "0004"

_UP = """
create table portal_document (
    delivery_id uuid primary key,        -- of a row in a mailbox, whose state is the document's
    mailbox     text not null,
    seq         bigint not null,
    subject_key text not null,           -- revisions of one document share it
    rank        text collate "C" not null,
    facility    text not null,           -- who issued it
    forced      boolean not null default false,      -- a person said: send it as it is
    reasons     jsonb not null default '[]',         -- why it waits, is held or was refused: [{code, element}]
    told        text not null default '',            -- the portal's own words
    transaction text not null default '',            -- maGiaoDich
    taken_at    timestamptz not null default now()
);
create index portal_document_key on portal_document (mailbox, subject_key);
create index portal_document_facility on portal_document (facility, taken_at) where reasons <> '[]';
create index mailbox_portal on mailbox (recipient, seq) where recipient = 'portal' and state in ('QUEUED', 'SENT', 'HELD', 'REFUSED');
create index portal_document_age on portal_document (taken_at);
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute("drop index mailbox_portal; drop table portal_document")
