"""The teacher: its client, the journal of its answers, and the labels made of them."""
