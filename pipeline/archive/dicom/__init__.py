"""DICOM: what lies in a tree, which slices are a volume, its voxels and masks, and the way back."""
