#!/usr/bin/env bash
# From daily prices of your own (CSV or parquet, docs/data.md) to examples, and to a profile that rehearses on them.
# Usage: examples/own_prices.sh PRICES FOLDER
set -euo pipefail
prices=$(realpath "$1")
folder=$(realpath -m "$2")
cortex=$(dirname "$0")/../.venv/bin/cortex

# Each column's use is shown. Whatever is not clear is refused, with the row and the fix.
"$cortex" dataset build --data "$prices" --style compact --out "$folder/examples"
"$cortex" dataset show "$folder/examples"

# Only what differs from the rehearsal's own profile. A path is relative to where the kit is called from, so it is absolute.
cat >"$folder/profile.yaml" <<PROFILE
extends: rehearsal
name: own-prices
domain:
  source: {kind: files, paths: ["$prices"]}
PROFILE
"$cortex" profile show "$folder/profile.yaml" >/dev/null # checks every value
echo "now: make rehearse PROFILE=$folder/profile.yaml"
