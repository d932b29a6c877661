#!/bin/sh
# Set one time for all files of a layer, as its last step. The argument is a file that was written before the layer began.
set -eu
find / -xdev -newer "$1" -not -path /etc/hosts -not -path /etc/resolv.conf \
    -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +
