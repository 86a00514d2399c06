"""The segmenter f^s: nnU-Net v2, planned, preprocessed and trained on refined pseudo labels.

References train it only where the settings ask for them, to know the upper bound.

nnU-Net (Isensee et al., Nature Methods 18, 2021) brings its own fingerprint, plans, preprocessing, trainer and
predictor; this package gives it a data set, a place in a run folder, and ways of stopping and going on.
"""
