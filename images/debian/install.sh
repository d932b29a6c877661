#!/bin/sh
# Install Debian's packages into an image's layer, and leave no cache in it, nor anything that bears the time.
# What the base holds is emptied, not removed: removal leaves a mark that bears the time.
# Arguments: a file that was written before the layer was begun, and the packages. SOURCE_DATE_EPOCH is every file's time.
set -eu
before=$1
shift
export DEBIAN_FRONTEND=noninteractive
# A mirror that is between two states, or drops a file for good, is asked anew, lists and all.
for left in 2 1 0; do
    apt-get update -qq --option Acquire::Retries=5 &&
        apt-get install -qq --yes --no-install-recommends --option Acquire::Retries=5 "$@" && break
    [ "$left" != 0 ] || exit 1
done
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb
find /var/log /var/cache/debconf/*-old /var/cache/ldconfig /var/lib/dpkg/*-old -type f -newer "$before" \
    -exec truncate --size=0 {} +
