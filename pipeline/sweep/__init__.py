"""Sweeps over refinement parameters: statistics from one pass, and every point of tau and c from them."""
