"""Recipients can be paused, deliveries expire, and what was seen is forgotten at last."""

from alembic import op

revision = "0006"
down_revision = "0005"

_UP = """
alter table recipient
    add column paused_at     timestamptz,          -- null: not paused
    add column paused_by     text not null default '',
    add column paused_reason text not null default '',
    set (fillfactor = 50);                         -- its rows are updated with every batch

alter table mailbox add column expires_at timestamptz;  -- null: with its partition
create index mailbox_expires on mailbox (expires_at) where state = 'QUEUED' and expires_at is not null;

alter table delivery_seen add column seen_on date not null default current_date;
create index delivery_seen_on on delivery_seen using brin (seen_on);
"""


def upgrade() -> None:
    op.execute(_UP)


def downgrade() -> None:
    op.execute(
        "drop index delivery_seen_on, mailbox_expires; alter table delivery_seen drop column seen_on;"
        " alter table mailbox drop column expires_at; alter table recipient reset (fillfactor),"
        " drop column paused_at, drop column paused_by, drop column paused_reason"
    )
