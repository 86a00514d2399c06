"""Volume-level Couinaud labels in, a trained liver tumor segmenter out: the method's core, free of Ray."""

__version__ = "0.1.0"
