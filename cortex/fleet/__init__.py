"""The laptop's side: bringing a run home, and letting go of its machines."""
