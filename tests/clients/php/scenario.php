<?php
// The scenario of ../README.md with mysqli (mysqlnd).
declare(strict_types=1);

const PORT_QUERY = 'SELECT HOST FROM information_schema.processlist WHERE ID = CONNECTION_ID()';

function keyword(string $sql): string
{
    return strtolower(strtok($sql, ' '));
}

final class Run
{
    public array $report;

    public function __construct(private mysqli $connection, private bool $prepared, string $client)
    {
        $this->report = ['client' => $client, 'port' => 0, 'connections' => 1, 'com' => [], 'text_statements' => [],
            'prepared_executes' => [], 'errors' => []];
        $this->report['port'] = (int) substr(strrchr($this->text(PORT_QUERY)[0], ':'), 1);
    }

    public function text(string $sql): ?array
    {
        $this->add('com', 'COM_QUERY');
        $this->add('text_statements', keyword($sql));
        return $this->attempt(function () use ($sql) {
            $first = $this->connection->query($sql);
            $row = $first instanceof mysqli_result ? $first->fetch_row() : null;
            while ($this->connection->more_results()) {
                $this->connection->next_result();
                ($this->connection->store_result() ?: null)?->free();
            }
            return $row;
        });
    }

    public function step(string $line): void
    {
        [$op, $rest] = array_pad(explode(' ', $line, 2), 2, '');
        if ($op === 'text') {
            $this->text($rest);
        } elseif ($op === 'ping') {
            $this->add('com', 'COM_PING');
            $this->connection->ping();
        } elseif ($op === 'use') {
            $this->add('com', 'COM_INIT_DB');
            $this->connection->select_db($rest);
        } elseif ($op === 'prepared') {
            [$numbers, $sql] = explode(' ', $rest, 2);
            $numbers = array_map('intval', explode(',', $numbers));
            if ($this->prepared) {
                $this->prepared($sql, $numbers);
            } else {
                foreach ($numbers as $number) {
                    $this->text(str_replace('?', (string) $number, $sql));
                }
            }
        }
    }

    private function prepared(string $sql, array $numbers): void
    {
        $this->add('com', 'COM_STMT_PREPARE');
        $statement = $this->attempt(fn () => $this->connection->prepare($sql));
        if (!$statement) {
            return;
        }
        foreach ($numbers as $number) {
            $this->add('com', 'COM_STMT_EXECUTE');
            $this->add('prepared_executes', keyword($sql));
            $this->attempt(function () use ($statement, $number) {
                $statement->bind_param('i', $number);
                $statement->execute();
                ($statement->get_result() ?: null)?->free();
            });
        }
        $statement->close();
        $this->add('com', 'COM_STMT_CLOSE');
    }

    public function close(): void
    {
        $this->connection->close();
        $this->add('com', 'COM_QUIT');
        echo json_encode($this->report, JSON_FORCE_OBJECT), "\n";
    }

    private function attempt(callable $work): mixed
    {
        try {
            return $work();
        } catch (mysqli_sql_exception $error) {
            $this->add('errors', (string) $error->getCode());
            return null;
        }
    }

    private function add(string $kind, string $key): void
    {
        $this->report[$kind][$key] = ($this->report[$kind][$key] ?? 0) + 1;
    }
}

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
[, $mode, $host, $port, $script, $connections] = $argv;
$lines = file($script, FILE_IGNORE_NEW_LINES);
$runs = [];
for ($number = 1; $number <= (int) $connections; $number++) {
    $connection = mysqli_init();
    $flags = str_ends_with($mode, '-compress') ? MYSQLI_CLIENT_COMPRESS : 0;
    $flags |= str_ends_with($mode, '-tls') ? MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT : 0;
    $connection->real_connect($host, 'app', 'app-password', 'test', (int) $port, null, $flags);
    $run = new Run($connection, str_starts_with($mode, 'php-prepared'), $mode);
    foreach ($lines as $line) {
        $run->step(str_replace('{c}', (string) $number, $line));
    }
    $runs[] = $run;
}
foreach ($runs as $run) {
    $run->close();
}
