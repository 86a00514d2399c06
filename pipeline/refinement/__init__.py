"""PLR at scale: levels and bits, the walk up a volume, and the checks of what it reads."""
