"""A server that speaks what MariaDB does not: query attributes and caching_sha2_password, by mysql-mimic.

    server.py    prints its port, then serves until its standard input ends; then what it was asked, as JSON

Every login goes through the full exchange: the client asks for the server's RSA key and sends its password under it.
Answers are made up: two rows for what begins with SELECT, an OK for everything else.
"""

import asyncio
import collections
import json
import logging
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from mysql_mimic import AuthPlugin, IdentityProvider, MysqlServer, Session, User
from mysql_mimic.auth import Success

PORT_QUERY = "information_schema.processlist"


class CachingSha2(AuthPlugin):
    """The server's side of caching_sha2_password without a cache. It believes every password."""

    name = client_plugin_name = "caching_sha2_password"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    async def auth(self, auth_info=None):
        nonce = b"0123456789abcdefghij\0"
        auth_info = auth_info or (yield nonce)
        auth_info = yield b"\x04"
        if auth_info.data.rstrip(b"\0") == b"\x02":
            auth_info = yield self.key
        tally["full_exchanges"] += len(auth_info.data) == 256
        yield Success(auth_info.username)


class Everybody(IdentityProvider):
    def get_plugins(self):
        return [CachingSha2()]

    async def get_user(self, username):
        return User(name=username, auth_plugin=CachingSha2.name)


tally = collections.Counter()


class Answers(Session):
    async def handle_query(self, sql, attrs):
        tally["queries"] += 1
        tally["attributes"] += len(attrs)
        if PORT_QUERY in sql:
            host, port = self.connection.stream.writer.get_extra_info("peername")[:2]
            return [(f"{host}:{port}",)], ["HOST"]
        if sql.lstrip().lower().startswith("select"):
            return [(1,), (2,)], ["n"]
        return [], []


async def main():
    server = MysqlServer(session_factory=Answers, identity_provider=Everybody())
    await server.start_server(port=0, host="127.0.0.1")
    print(server._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(json.dumps(tally), flush=True)
    server.close()


logging.disable(logging.CRITICAL)
asyncio.run(main())
