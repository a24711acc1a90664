#!/bin/sh
# rustc for `make coverage`: counts what runs of this workspace, not of what it depends on.
exec "$@" -C instrument-coverage
