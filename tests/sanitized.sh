#!/bin/sh
# rustc for `make sanitize`: of this workspace, whose unsafe code is what there is to watch. The option is unstable, its
# runtime comes with every toolchain.
RUSTC_BOOTSTRAP=1 exec "$@" -Zsanitizer=address
