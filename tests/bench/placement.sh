#!/bin/bash
# How much of what arrives MIG placement serves, beside other policies and the best that any can do.
set -eu
cd "$(dirname "$0")/../.."
cargo bench --quiet --package divvy --no-default-features --bench placement
