"""The scenario of ../README.md with PyMySQL, mysql-connector-python (pure Python) or asyncmy."""

import asyncio
import collections
import json
import sys

USER, PASSWORD, SCHEMA = "app", "app-password", "test"
UNVERIFIED = {"check_hostname": False, "verify_mode": False}
PORT_QUERY = "SELECT HOST FROM information_schema.processlist WHERE ID = CONNECTION_ID()"


class Tally:
    """What one connection did."""

    def __init__(self, client):
        self.client = client
        self.port = 0
        self.com = collections.Counter()
        self.text = collections.Counter()
        self.prepared = collections.Counter()
        self.errors = collections.Counter()

    def query(self, sql):
        self.com["COM_QUERY"] += 1
        self.text[keyword(sql)] += 1

    def report(self):
        print(json.dumps({
            "client": self.client, "port": self.port, "connections": 1, "com": self.com,
            "text_statements": self.text, "prepared_executes": self.prepared, "errors": self.errors,
        }), flush=True)


def keyword(sql):
    return sql.split(None, 1)[0].lower()


class PyMySQL:
    """PyMySQL: text only."""

    own = ["SET NAMES utf8mb4"]

    def connect(self, host, port, tls, compress):
        import pymysql
        self.error = pymysql.MySQLError
        self.pings = 0
        self.connection = pymysql.connect(host=host, port=port, user=USER, password=PASSWORD, database=SCHEMA,
                                          autocommit=True, local_infile=True, ssl=UNVERIFIED if tls else None,
                                          ssl_disabled=not tls)

    def text(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            rows = cursor.fetchall()
            while cursor.nextset():
                pass
            return rows

    def ping(self):
        self.connection.ping(reconnect=False)
        self.pings += 1

    def use(self, schema):
        self.connection.select_db(schema)

    def close(self):
        self.connection.close()


class Connector:
    """mysql-connector-python without its C extension."""

    own = ["SET NAMES 'utf8mb4' COLLATE 'utf8mb4_general_ci'", "SET @@session.autocommit = ON"]

    def connect(self, host, port, tls, compress):
        import mysql.connector
        self.error = mysql.connector.Error
        self.pings = 0
        self.connection = mysql.connector.connect(host=host, port=port, user=USER, password=PASSWORD,
                                                  database=SCHEMA, use_pure=True, autocommit=True,
                                                  compress=compress, ssl_disabled=not tls)
        self.attributes = []

    def cursor(self, **options):
        # Each new cursor makes sure of its connection by a ping.
        self.pings += 1
        cursor = self.connection.cursor(**options)
        for name, value in self.attributes:
            cursor.add_attribute(name, value)
        return cursor

    def text(self, sql):
        with self.cursor() as cursor:
            cursor.execute(sql)
            rows = cursor.fetchall() if cursor.with_rows else []
            while cursor.nextset():
                cursor.fetchall()
            return rows

    def prepared(self, sql, numbers, tally):
        sql = sql.replace("?", "%s")
        cursor = self.cursor(prepared=True)
        tally.com["COM_STMT_PREPARE"] += 1
        for number in numbers:
            try:
                cursor.execute(sql, (number,))
                if cursor.with_rows:
                    cursor.fetchall()
            except self.error as error:
                tally.errors[str(error.errno)] += 1
                if error.errno == 1064:
                    cursor.close()
                    return
            tally.com["COM_STMT_RESET"] += 1
            tally.com["COM_STMT_EXECUTE"] += 1
            tally.prepared[keyword(sql)] += 1
        cursor.close()
        tally.com["COM_STMT_CLOSE"] += 1

    def ping(self):
        self.connection.cmd_ping()
        self.pings += 1

    def use(self, schema):
        self.connection.cmd_init_db(schema)

    def close(self):
        self.connection.close()


class Asyncmy:
    """asyncmy: asyncio with a C extension; text only."""

    own = []

    def connect(self, host, port, tls, compress):
        import asyncmy
        self.error = asyncmy.errors.MySQLError
        self.pings = 0
        self.loop = asyncio.new_event_loop()
        self.connection = self.loop.run_until_complete(
            asyncmy.connect(host=host, port=port, user=USER, password=PASSWORD, database=SCHEMA, autocommit=True))

    def text(self, sql):
        return self.loop.run_until_complete(self.text_async(sql))

    async def text_async(self, sql):
        async with self.connection.cursor() as cursor:
            await cursor.execute(sql)
            rows = await cursor.fetchall()
            while await cursor.nextset():
                pass
            return rows

    def ping(self):
        self.loop.run_until_complete(self.connection.ping(reconnect=False))
        self.pings += 1

    def use(self, schema):
        self.loop.run_until_complete(self.connection.select_db(schema))

    def close(self):
        self.loop.run_until_complete(self.connection.ensure_closed())
        self.loop.close()


DRIVERS = {"pymysql": PyMySQL, "connector": Connector, "asyncmy": Asyncmy}


def text(driver, sql, tally):
    tally.query(sql)
    try:
        return driver.text(sql)
    except driver.error as error:
        tally.errors[str(error.args[0])] += 1


def step(driver, prepared, line, tally):
    op, _, rest = line.partition(" ")
    if op == "text":
        text(driver, rest, tally)
    elif op == "prepared":
        numbers, _, sql = rest.partition(" ")
        numbers = [int(number) for number in numbers.split(",")]
        if prepared:
            driver.prepared(sql, numbers, tally)
        else:
            for number in numbers:
                text(driver, sql.replace("?", str(number)), tally)
    elif op == "ping":
        driver.ping()
    elif op == "use":
        driver.use(rest)
        tally.com["COM_INIT_DB"] += 1


def main():
    mode, host, port, script, connections = sys.argv[1:]
    name, statements, *options = mode.split("-")
    lines = open(script, encoding="utf-8").read().splitlines()
    opened = []
    for number in range(1, int(connections) + 1):
        tally = Tally(mode)
        driver = DRIVERS[name]()
        driver.connect(host, int(port), tls="tls" in options, compress="compress" in options)
        if "attributes" in options:
            driver.attributes = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-01"), ("n", 7), ("ratio", 0.5)]
        for sql in driver.own:
            tally.query(sql)
        tally.port = int(text(driver, PORT_QUERY, tally)[0][0].rsplit(":", 1)[1])
        for line in lines:
            step(driver, statements == "prepared", line.replace("{c}", str(number)), tally)
        opened.append((driver, tally))
    for driver, tally in opened:
        driver.close()
        tally.com["COM_PING"] += driver.pings
        tally.com["COM_QUIT"] += 1
        tally.report()


main()
