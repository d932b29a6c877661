"""What the clouds say of a machine that they are about to take away: each one's protocol, on one kind of client."""
