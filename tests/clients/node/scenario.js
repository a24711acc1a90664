// The scenario of ../README.md with mysql2 or mariadb (Connector/Node.js).
'use strict';

const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');

// The libraries are installed outside the sources.
const load = createRequire(path.resolve(__dirname, '../../../target/clients/node/package.json'));

const PORT_QUERY = 'SELECT HOST FROM information_schema.processlist WHERE ID = CONNECTION_ID()';
const keyword = (sql) => sql.trim().split(/\s+/)[0].toLowerCase();
const add = (counts, key, count = 1) => { counts[key] = (counts[key] || 0) + count; };

const login = (host, port) =>
  ({ host, port, user: 'app', password: 'app-password', database: 'test' });

const transport = (options) => ({
  compress: options.includes('compress'),
  ...(options.includes('tls') ? { ssl: { rejectUnauthorized: false } } : {}),
});

class Mysql2 {
  static async connect(host, port, kind, options) {
    const it = new Mysql2();
    it.connection = await load('mysql2/promise').createConnection({ ...login(host, port), ...transport(options) });
    it.own = [];
    return it;
  }
  async text(sql) { return (await this.connection.query(sql))[0]; }
  async prepare(sql) {
    const statement = await this.connection.prepare(sql);
    return { execute: (number) => statement.execute([number]), close: () => statement.close() };
  }
  async ping() { await this.connection.ping(); }
  async close() { await this.connection.end(); }
}

class Mariadb {
  static async connect(host, port, kind, options) {
    const it = new Mariadb();
    it.connection = await load('mariadb').createConnection({
      ...login(host, port), ...transport(options), pipelining: kind === 'pipelined', prepareCacheLength: 0,
    });
    it.own = ['SET NAMES utf8mb4'];
    return it;
  }
  async text(sql) { return this.connection.query(sql); }
  async prepare(sql) {
    const statement = await this.connection.prepare(sql);
    return { execute: (number) => statement.execute([number]), close: () => statement.close() };
  }
  async ping() { await this.connection.ping(); }
  async close() { await this.connection.end(); }
}

const LIBRARIES = { mysql2: Mysql2, mariadb: Mariadb };

class Run {
  constructor(client, library) {
    this.library = library;
    this.report = {
      client, port: 0, connections: 1, com: {}, text_statements: {}, prepared_executes: {}, errors: {},
    };
  }

  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      add(this.report.errors, String(error.errno));
      return undefined;
    }
  }

  async text(sql) {
    add(this.report.com, 'COM_QUERY');
    add(this.report.text_statements, keyword(sql));
    return this.attempt(() => this.library.text(sql));
  }

  async prepared(sql, numbers) {
    add(this.report.com, 'COM_STMT_PREPARE');
    const statement = await this.attempt(() => this.library.prepare(sql));
    if (!statement) return;
    for (const number of numbers) {
      add(this.report.com, 'COM_STMT_EXECUTE');
      add(this.report.prepared_executes, keyword(sql));
      await this.attempt(() => statement.execute(number));
    }
    await statement.close();
    add(this.report.com, 'COM_STMT_CLOSE');
  }

  // All at once: with pipelining the client does not wait for one answer before it sends the next.
  async pipelined(sql, numbers) {
    await Promise.all(numbers.map((number) => this.text(sql.replace('?', number))));
  }

  async step(kind, line) {
    const [op, rest] = split(line);
    if (op === 'text') await this.text(rest);
    if (op === 'prepared') {
      const [list, sql] = split(rest);
      const numbers = list.split(',').map(Number);
      if (kind === 'prepared') await this.prepared(sql, numbers);
      else if (kind === 'pipelined') await this.pipelined(sql, numbers);
      else for (const number of numbers) await this.text(sql.replace('?', number));
    }
    if (op === 'ping') {
      await this.library.ping();
      add(this.report.com, 'COM_PING');
    }
  }

  async close() {
    await this.library.close();
    add(this.report.com, 'COM_QUIT');
    console.log(JSON.stringify(this.report));
  }
}

function split(line) {
  const space = line.indexOf(' ');
  return space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
}

async function main() {
  const [mode, host, port, script, connections] = process.argv.slice(2);
  const [name, kind, ...options] = mode.split('-');
  const lines = fs.readFileSync(script, 'utf8').trim().split('\n');
  const runs = [];
  for (let number = 1; number <= Number(connections); number += 1) {
    const run = new Run(mode, await LIBRARIES[name].connect(host, Number(port), kind, options));
    for (const sql of run.library.own) {
      add(run.report.com, 'COM_QUERY');
      add(run.report.text_statements, keyword(sql));
    }
    run.report.port = Number((await run.text(PORT_QUERY))[0].HOST.split(':').pop());
    for (const line of lines) await run.step(kind, line.replaceAll('{c}', number));
    runs.push(run);
  }
  for (const run of runs) await run.close();
}

main().catch((error) => { console.error(error); process.exit(1); });
