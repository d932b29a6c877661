#!/bin/bash
# Installs the kit and SkyPilot on the server, and starts them. It runs as root in the unpacked archive, /opt/cortex, and
# may run again: the machine's first boot repeats it until it succeeds.
set -euo pipefail
cd /opt/cortex

dnf --quiet --assumeyes install python3.11 rsync openssh-clients
id cortex >/dev/null 2>&1 || useradd --system --create-home --home-dir /var/lib/cortex cortex

# As on a laptop, from the lock: every file must have its hash in the lock, and nothing is built.
python3.11 -m venv .venv
awk '/^[^ ]/ {wanted = /^uv==/} wanted' images/control/requirements.lock |
  .venv/bin/python -m pip -qq --disable-pip-version-check install --require-hashes --only-binary :all: --requirement /dev/stdin
.venv/bin/uv --quiet pip sync --compile-bytecode --require-hashes --no-build --python .venv/bin/python images/control/requirements.lock
.venv/bin/python scripts/use_checkout.py

install --directory --owner cortex --group cortex --mode 700 /var/lib/cortex/.sky
install --owner cortex --group cortex --mode 600 /etc/cortex/sky.yaml /var/lib/cortex/.sky/config.yaml
install --mode 644 infra/server/*.service /etc/systemd/system/
systemctl daemon-reload
for unit in infra/server/*.service; do
  systemctl enable --now "$(basename "$unit")"
done
