#!/bin/sh
# Install Debian packages into an image's layer, and leave neither caches nor logs in it, which would hold the time.
# Files of the base are emptied, not removed: a removal would leave a mark with the time in the layer.
# Arguments: a file that was written before the layer was begun, and the packages. SOURCE_DATE_EPOCH is every file's time.
set -eu
before=$1
shift
export DEBIAN_FRONTEND=noninteractive
# A mirror in the middle of an update lacks files: try again, with new package lists.
for left in 2 1 0; do
    apt-get update -qq --option Acquire::Retries=5 &&
        apt-get install -qq --yes --no-install-recommends --option Acquire::Retries=5 "$@" && break
    [ "$left" != 0 ] || exit 1
done
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb
find /var/log /var/cache/debconf/*-old /var/cache/ldconfig /var/lib/dpkg/*-old -type f -newer "$before" \
    -exec truncate --size=0 {} +
