"""A trained nnU-Net v2 that the user brings: its folder read as data alone, its network run on volumes."""
