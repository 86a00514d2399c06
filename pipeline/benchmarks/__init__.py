"""Measuring the pipeline's own operations on the machine at hand, as ratios within one run."""
