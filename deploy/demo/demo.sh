#!/usr/bin/env bash
# `make demo`: MariaDB, a mixed load, the exporter, and a Prometheus with the rules, on ports and folders of their own.
# Ctrl-C ends them all, and leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PATH:/usr/sbin:/sbin
exporter=$(realpath "${1:-target/release/dbwire_exporter}")
mysql_port=${DEMO_MYSQL_PORT:-13306} web_port=${DEMO_PORT:-9098} prometheus_port=${DEMO_PROMETHEUS_PORT:-9090}

folder=$(mktemp -d -t dbwire-demo-XXXXXX)
children=()
finish() {
    trap - EXIT
    # Whatever comes, and whether or not anybody reads what is said, it goes on to the end.
    trap '' INT TERM HUP PIPE
    { echo; echo "Stopping."; } 2>/dev/null || true
    for ((i = ${#children[@]} - 1; i >= 0; i--)); do kill "${children[i]}" 2>/dev/null || true; done
    wait || true
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 0' INT TERM HUP PIPE

# start NAME COMMAND... : in the background, its output in a file.
start() {
    local name=$1
    shift
    "$@" >"$folder/$name.log" 2>&1 &
    children+=($!)
}
# await WHAT COMMAND... : until it succeeds, for a minute.
await() {
    local what=$1 tries=120
    shift
    until "$@" >/dev/null 2>&1; do
        ((tries--)) || { echo "$what does not answer; the end of its log:" >&2; tail -n 5 "$folder"/*.log >&2; exit 1; }
        sleep 0.5
    done
}
sql() { mariadb --no-defaults --socket="$folder/socket" --user=root "$@"; }

echo "Starting MariaDB on port $mysql_port"
mariadb-install-db --no-defaults --force --datadir="$folder/data" --auth-root-authentication-method=normal \
    --skip-test-db --user="$(id -un)" >"$folder/install.log" 2>&1
start mariadb mariadbd --no-defaults --user="$(id -un)" --datadir="$folder/data" --socket="$folder/socket" \
    --port="$mysql_port" --bind-address=127.0.0.1 --pid-file="$folder/pid" --innodb-buffer-pool-size=64M
await MariaDB sql -e 'SELECT 1'
sql -e "CREATE DATABASE sbtest; CREATE USER demo@'%' IDENTIFIED BY 'demo', demo@localhost IDENTIFIED BY 'demo';
        GRANT ALL ON sbtest.* TO demo@'%'; GRANT ALL ON sbtest.* TO demo@localhost"

echo "Starting the exporter on port $web_port"
start exporter "$exporter" --web.listen-address=":$web_port" --mysql.interface=lo --mysql.port="$mysql_port"
await "The exporter" curl -sf "http://127.0.0.1:$web_port/-/ready"

echo "Starting Prometheus on port $prometheus_port"
cat >"$folder/prometheus.yaml" <<CONFIG
global: {scrape_interval: 5s, evaluation_interval: 15s}
rule_files: ['$PWD/deploy/prometheus/rules.yaml', '$PWD/deploy/prometheus/fleet.yaml', '$PWD/deploy/prometheus/alerts.yaml']
scrape_configs: [{job_name: dbwire, static_configs: [{targets: ['127.0.0.1:$web_port']}]}]
CONFIG
start prometheus prometheus --config.file="$folder/prometheus.yaml" --storage.tsdb.path="$folder/prometheus" \
    --web.listen-address="127.0.0.1:$prometheus_port" --enable-feature=native-histograms --log.level=warn

load=(--db-driver=mysql --mysql-host=127.0.0.1 --mysql-port="$mysql_port" --mysql-user=demo --mysql-password=demo
    --tables=2 --table-size=10000)
echo "Filling two tables"
sysbench oltp_read_write "${load[@]}" prepare >"$folder/prepare.log" 2>&1
start transactions sysbench oltp_read_write "${load[@]}" --threads=4 --rate=40 --time=0 run
start reads sysbench oltp_point_select "${load[@]}" --threads=2 --rate=200 --time=0 --db-ps-mode=disable run
await Prometheus curl -sf "http://127.0.0.1:$prometheus_port/-/ready"

cat <<WHERE

  http://localhost:$web_port/          the exporter's page
  http://localhost:$web_port/metrics   what Prometheus scrapes
  http://localhost:$prometheus_port/          Prometheus, with the rules and alerts of deploy/prometheus

Ctrl-C ends it.
WHERE
# Ctrl-C ends them, too, and one may have ended first: the trap then runs behind this, which must not fail itself.
wait -n "${children[@]}" || true
echo "One of them ended by itself:" >&2
tail -n 3 "$folder"/*.log >&2
exit 1
