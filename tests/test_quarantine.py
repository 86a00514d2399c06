"""Bad cases among good ones: the bad are set aside with distinct reasons, the good are complete."""

import numpy as np

from jobs import ingest
from pipeline.archive.quarantine import read_rejections
from pipeline.config import GridConfig, PhantomConfig, PipelineConfig, SourceConfig
from pipeline.phantom import make_phantom
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_slices, read_volume_rows
from pipeline.volume import to_native_image
from tests.archive_cases import sitk

PHANTOM = PhantomConfig(
    train_pathological=5,
    train_healthy=0,
    test=0,
    slices=16,
    height=64,
    width=80,
    slice_spacing_mm=9,
    pixel_spacing_mm=4,
)
GRID = GridConfig(height=56, width=64, spacing_mm=4.0, slab_length=6)


def write_archive(folder):
    """Five phantoms in the `msd` layout; return them by id."""
    volumes = {f"phantom_{index:03d}": make_phantom(PHANTOM, 0, f"phantom_{index:03d}") for index in range(5)}
    rows = ["volume_id,split,segments"]
    for name, volume in volumes.items():
        labels = volume.liver_mask.astype(np.uint8) + (volume.reference_mask & volume.liver_mask)
        for part, array in (("imagesTr", volume.hu), ("labelsTr", labels), ("couinaudTr", volume.couinaud_map)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(to_native_image(array, volume.geometry), str(folder / part / f"{name}.nii.gz"))
        rows.append(f"{name},train,{';'.join(str(s + 1) for s in np.flatnonzero(volume.image_label))}")
    (folder / "volume_labels.csv").write_text("\n".join(rows) + "\n")
    return volumes


def break_three(folder):
    """Truncate one image, give one mask another shape, name a segment 9 in one label."""
    image = folder / "imagesTr" / "phantom_000.nii.gz"
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    mask = folder / "labelsTr" / "phantom_001.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(mask))[:, :-1, :], str(mask))
    table = folder / "volume_labels.csv"
    lines = table.read_text().splitlines()
    lines[3] = "phantom_002,train,9"
    table.write_text("\n".join(lines) + "\n")


def test_three_bad_cases_of_five(ray_cluster, tmp_path):
    volumes = write_archive(tmp_path / "archive")
    break_three(tmp_path / "archive")
    run = RunFolder(str(tmp_path / "run"))
    source = SourceConfig(path=str(tmp_path / "archive"), layout="msd")
    assert ingest.main(PipelineConfig(run=run.uri, source=source, grid=GRID)) == 3
    reasons = {rejection.volume_id: rejection.code for rejection in read_rejections(run)}
    assert reasons == {
        "phantom_000": "NIFTI_TRUNCATED",
        "phantom_001": "MASK_SHAPE_MISMATCH",
        "phantom_002": "SEGMENT_LABEL",
    }
    assert sorted(run.names("slices")) == ["phantom_003", "phantom_004"]
    for row in read_volume_rows(run):
        volume = volumes[row.volume_id]
        slices = read_slices(run, "slices", row, GRID.slab_length, 0, 16)
        liver_slices = np.flatnonzero(volume.liver_mask.any(axis=(1, 2)))
        assert set(slices["slice_index"]) <= set(liver_slices)
        assert len(slices["slice_index"]) >= len(liver_slices) - 2  # thin ends may be under half a grid pixel
        assert row.image_label == tuple(volume.image_label.tolist())
