# frozen_string_literal: true

# The scenario of ../README.md with the mysql2 gem.
require 'json'
require 'mysql2'

PORT_QUERY = 'SELECT HOST FROM information_schema.processlist WHERE ID = CONNECTION_ID()'

def keyword(sql)
  sql.split.first.downcase
end

# One connection and what it did.
class Run
  def initialize(mode, host, port)
    @prepared = mode == 'ruby-prepared'
    @client = Mysql2::Client.new(host: host, port: port.to_i, username: 'app', password: 'app-password',
                                 database: 'test')
    @report = { client: mode, port: 0, connections: 1, com: Hash.new(0), text_statements: Hash.new(0),
                prepared_executes: Hash.new(0), errors: Hash.new(0) }
    @report[:port] = text(PORT_QUERY).first['HOST'].split(':').last.to_i
  end

  def text(sql)
    @report[:com]['COM_QUERY'] += 1
    @report[:text_statements][keyword(sql)] += 1
    attempt do
      rows = @client.query(sql).to_a
      @client.store_result while @client.next_result
      rows
    end
  end

  def step(line)
    op, rest = line.split(' ', 2)
    case op
    when 'text' then text(rest)
    when 'ping'
      @client.ping
      @report[:com]['COM_PING'] += 1
    when 'use'
      @client.select_db(rest)
      @report[:com]['COM_INIT_DB'] += 1
    when 'prepared'
      list, sql = rest.split(' ', 2)
      numbers = list.split(',').map(&:to_i)
      @prepared ? prepared(sql, numbers) : numbers.each { |number| text(sql.sub('?', number.to_s)) }
    end
  end

  def prepared(sql, numbers)
    @report[:com]['COM_STMT_PREPARE'] += 1
    statement = attempt { @client.prepare(sql) } or return
    numbers.each do |number|
      @report[:com]['COM_STMT_EXECUTE'] += 1
      @report[:prepared_executes][keyword(sql)] += 1
      attempt { statement.execute(number).to_a }
    end
    statement.close
    @report[:com]['COM_STMT_CLOSE'] += 1
  end

  def close
    @client.close
    @report[:com]['COM_QUIT'] += 1
    puts JSON.generate(@report)
  end

  private

  def attempt
    yield
  rescue Mysql2::Error => e
    @report[:errors][e.error_number.to_s] += 1
    nil
  end
end

mode, host, port, script, connections = ARGV
lines = File.readlines(script, chomp: true)
runs = (1..connections.to_i).map do |number|
  run = Run.new(mode, host, port)
  lines.each { |line| run.step(line.gsub('{c}', number.to_s)) }
  run
end
runs.each(&:close)
