#!/usr/bin/env bash
# Which lines of each parser the fuzz targets run, over their corpora, what `make fuzz` has found, and mutations of both:
# a table, and the lines that nothing has run under target/coverage. Fails where a parser is below 90 %.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly least=90
out=target/coverage
tools=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin

# A parser | its files under src/.
parsers='
link                  | packet/link.rs
IP and TCP            | packet/segment.rs
capture filter        | packet/filter.rs packet/filter/text.rs packet/filter/program.rs
stream                | stream/assembler.rs stream/assembler/arrival.rs stream/assembler/half.rs stream/flows.rs slots.rs stream/seq.rs stream/key.rs
MySQL, both ways      | mysql/packet.rs mysql/bytes.rs mysql/session.rs mysql/session/beginning.rs mysql/dialogue.rs mysql/dialogue/login.rs mysql/dialogue/place.rs mysql/dialogue/schema.rs mysql/resync.rs mysql/pending.rs mysql/doubt.rs
MySQL, to the server  | mysql/command.rs mysql/handshake.rs mysql/opening.rs mysql/statement.rs mysql/prepared.rs mysql/asked.rs
MySQL, to the client  | mysql/response.rs mysql/dialogue/cut.rs
PROXY protocol        | mysql/proxy.rs
compression           | mysql/compress.rs mysql/compress/codecs.rs
TLS records           | mysql/tls.rs mysql/tls/record.rs mysql/tls/hello.rs mysql/tls/cut.rs
digest                | digest/lexer.rs digest/lexer/charsets.rs digest/lexer/strings.rs digest/normalize.rs digest/text.rs digest/repeats.rs digest/cache.rs digest/kind.rs digest/trace.rs digest/used.rs
netlink               | sockets/inet_diag.rs sockets/tcp_info.rs
procfs                | sockets/proc_net.rs sockets/counters.rs
Accept                | web/accept.rs web/deadline.rs
web configuration     | web/settings.rs web/settings/file.rs web/settings/password.rs
'

mkdir -p $out
rm -f $out/*.profraw
# Of this workspace only is counted what runs: what it depends on need not be built again.
export RUSTC_WORKSPACE_WRAPPER=$PWD/tests/fuzz/instrumented.sh LLVM_PROFILE_FILE=$PWD/$out/%m.profraw
export DBWIRE_FUZZ_FOUND=$PWD/target/fuzz/corpus
program=$(cargo test --locked --test fuzz_corpus --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*fuzz_corpus[^"]*\)".*/\1/p')
"$program" --quiet >/dev/null
"$tools/llvm-profdata" merge -sparse $out/*.profraw -o $out/all.profdata
"$tools/llvm-cov" export --format=lcov --instr-profile=$out/all.profdata "$program" >$out/lcov.info 2>/dev/null

# Lines of code and those that ran, of each file: "path lines ran".
awk -F'[:,]' '/^SF:/ { file = $2 } /^DA:/ { lines[file]++; ran[file] += $3 > 0 }
    END { for (file in lines) print file, lines[file], ran[file] }' $out/lcov.info >$out/files
awk -F'[:,]' '/^SF:.*\/src\// { file = $2; sub(/.*\/src\//, "", file) } /^SF:/ && !/\/src\// { file = "" }
    /^DA:/ && $3 == 0 && file { print file ":" $2 }' $out/lcov.info >$out/not-run

printf '%-22s %6s %6s %7s\n' parser lines ran share
echo "$parsers" | awk -F'|' -v files=$out/files -v least=$least -v root="$PWD/src/" '
    BEGIN { while ((getline line < files) > 0) { split(line, part, " "); lines[part[1]] = part[2]; ran[part[1]] = part[3] } }
    NF == 2 {
        all = some = 0
        count = split($2, names, " ")
        for (at = 1; at <= count; at++) {
            if (!(root names[at] in lines)) { print "no such file: " names[at]; failed = 1; continue }
            all += lines[root names[at]]; some += ran[root names[at]]
        }
        share = 100 * some / all
        printf "%-22s %6d %6d %6.1f%%\n", $1, all, some, share
        if (share < least) failed = 1
    }
    END { exit failed }'
