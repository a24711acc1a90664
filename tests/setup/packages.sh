#!/usr/bin/env bash
# Installs the Debian packages that `make` needs: `packages.sh build`, `demo`, `test`, `packages` or `picture`.
#
# Nothing is asked and no service is started or left enabled. What is there already is not touched, so a second
# run takes milliseconds: the packages' own state is the stamp. Without root it names what to install; then the
# build stops if it cannot do without, and the tests go on and skip what they cannot run.
set -euo pipefail

export PATH=$PATH:/usr/sbin:/sbin

# One line a thing: how to see that it is there | the packages that bring it.
build_needs='
command -v cc                  | gcc libc6-dev
pkg-config --exists libpcap    | pkg-config libpcap-dev
'
demo_needs="$build_needs"'
command -v mariadbd mariadb-install-db | mariadb-server-core
command -v mariadb             | mariadb-client-core
command -v prometheus          | prometheus
command -v sysbench            | sysbench
command -v curl                | curl ca-certificates
'
test_needs="$build_needs"'
command -v mariadbd mariadb-install-db | mariadb-server-core
command -v mariadb             | mariadb-client-core
command -v prometheus promtool | prometheus
command -v sysbench            | sysbench
command -v tshark              | tshark
command -v tcpdump             | tcpdump
command -v pt-query-digest     | percona-toolkit
command -v valgrind            | valgrind
command -v strace              | strace
command -v gcore               | gdb
command -v ip ss               | iproute2
command -v curl                | curl ca-certificates
command -v openssl             | openssl
command -v setpriv choom       | util-linux
command -v systemd-analyze     | systemd
command -v jsonnet             | jsonnet
python3 -c "import venv, ensurepip" | python3 python3-venv
command -v node                | nodejs
command -v npm                 | npm
command -v chromium            | chromium
test -e /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf | fonts-dejavu-core
command -v javac               | default-jdk-headless
test -e /usr/share/java/mariadb-java-client.jar | libmariadb-java
command -v mariadb_config      | libmariadb-dev
command -v go                  | golang-go
test -d /usr/share/gocode/src/github.com/go-sql-driver/mysql | golang-github-go-sql-driver-mysql-dev
php -r "exit(extension_loaded(\"mysqli\") ? 0 : 1);" | php-cli php-mysql
perl -MDBD::mysql -e 1         | perl libdbd-mysql-perl
ruby -rmysql2 -e 1             | ruby ruby-mysql2
'

packages_needs="$build_needs"'
command -v lintian             | lintian
command -v debootstrap         | debootstrap
command -v rpm                 | rpm
'

picture_needs="$test_needs"'
command -v pngquant            | pngquant
'

case "${1:-}" in
build) needs=$build_needs ;;
demo) needs=$demo_needs ;;
test) needs=$test_needs ;;
packages) needs=$packages_needs ;;
picture) needs=$picture_needs ;;
*) echo "usage: $0 build|demo|test|packages|picture" >&2; exit 2 ;;
esac

missing() {
    local check packages
    while IFS='|' read -r check packages; do
        [ -z "$check" ] || (eval "$check") >/dev/null 2>&1 </dev/null || echo "$packages"
    done <<<"$needs" | xargs -n1 | sort -u | xargs
}

# Keeps the packages' own scripts from starting what they install; an answer that is there already is kept.
forbid_services() {
    local policy=/usr/sbin/policy-rc.d
    [ ! -e $policy ] || return 0
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
    trap "rm -f $policy" EXIT
}

# What was installed for the tests must not come up with the next boot either.
disable_services() {
    [ -d /run/systemd/system ] || return 0
    case " $1 " in *" prometheus "*) systemctl disable --quiet prometheus.service || true ;; esac
}

packages=$(missing)
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
    echo "Not installed: $packages" >&2
    echo "Install it as root:  apt-get update && apt-get install -y --no-install-recommends $packages" >&2
    [ "$1" = build ] || exit 0
    echo "(without libpcap there is a sockets-only binary: cargo build --release --no-default-features)" >&2
    exit 1
fi

echo "Installing: $packages"
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -q -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
forbid_services
"${apt[@]}" update </dev/null
# shellcheck disable=SC2086 # the list is meant to be split
"${apt[@]}" install -y --no-install-recommends $packages </dev/null
disable_services "$packages"

packages=$(missing)
[ -z "$packages" ] || { echo "Installed, but still not usable: $packages" >&2; exit 1; }
