"""The only room that speaks ClickHouse: serve, connect, migrate, write batches, ask named questions."""

from nengliu.storage.asker import Asker
from nengliu.storage.client import await_store, connect, disconnect
from nengliu.storage.migrate import dump, migrate
from nengliu.storage.queries import ask
from nengliu.storage.serve import serve
from nengliu.storage.writer import Writer

__all__ = ["Asker", "Writer", "ask", "await_store", "connect", "disconnect", "dump", "migrate", "serve"]
