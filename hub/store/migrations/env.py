"""Alembic's entry: runs the migrations over the address that `hub.store.database.migrate` hands on."""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

url = make_url(context.config.attributes["url"]).set(drivername="postgresql+psycopg")
engine = create_engine(url)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
