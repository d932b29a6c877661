"""The rehearsal: the stages of `sky.yaml` on this machine, in environments or in containers."""
