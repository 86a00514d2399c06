"""What a cluster must be like, how work is cut for it, and how long it would take."""
