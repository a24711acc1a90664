#!/usr/bin/env bash
# Builds the committed sources in two folders of different names, and compares the programs as they are packaged: without
# debug information, which names the folders.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The same both times, whatever is committed meanwhile.
revision=$(git rev-parse HEAD)
# Outside the repository nobody could tell.
export DBWIRE_BUILD_REVISION=${revision:0:12}

build() {
    local folder=$1
    mkdir -p "$folder"
    git archive "$revision" | tar -x -C "$folder"
    # Paths are in the messages of panics, and in what C libraries assert.
    RUSTFLAGS="--remap-path-prefix=$folder=/src --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
        CFLAGS="-ffile-prefix-map=$folder=/src -ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
        cargo build --quiet --release --locked --manifest-path "$folder/Cargo.toml"
    cp "$folder/target/release/dbwire_exporter" "$work/$2"
    strip "$work/$2"
    rm -rf "$folder"
}

build "$work/one" first
build "$work/another/place" second
sha256sum "$work/first" "$work/second" | sed "s|$work/||"
cmp "$work/first" "$work/second"
echo "the same program"
