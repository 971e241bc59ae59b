"""People of the console: who they are, since when each is signed in, who failed lately, and what is yet to be told to the audit topic."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute("""
        create table person (
            name text primary key, role text not null, scope text[] not null, language text not null, password text not null,
            created_at timestamptz not null, changed_at timestamptz not null, disabled_at timestamptz,
            failed integer not null default 0, seen_at timestamptz,
            check (role in ('viewer', 'operator', 'admin', 'vendor', 'insurer')),
            check ((role in ('vendor', 'insurer')) = (cardinality(scope) > 0)))
    """)
    op.execute("""
        create table person_session (
            digest text primary key, name text not null references person on delete cascade, address text not null,
            opened_at timestamptz not null, seen_at timestamptz not null)
    """)
    op.execute("create index person_session_name on person_session (name, opened_at)")
    op.execute("create table person_try (key text primary key, count integer not null, since timestamptz not null)")
    op.execute("create index person_try_since on person_try (since)")
    op.execute("""
        create table audit_noted (
            id text primary key, at timestamptz not null, by text not null, action text not null, target text not null,
            reason text not null, outcome text not null)
    """)


def downgrade() -> None:
    for table in ("audit_noted", "person_try", "person_session", "person"):
        op.execute(f"drop table {table}")
