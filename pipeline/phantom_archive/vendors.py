"""The habits of vendors and archives: how each stores pixels, numbers slices, and names and nests files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_2000 = "1.2.840.10008.1.2.4.90"


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """What a series looks like; the defaults are the plainest.

    Args:
        manufacturer: Manufacturer and model, as the tags say them.
        model: The same.
        private: Group and creator of a block of private attributes; none if the creator is empty.
        description: Words for the portal venous phase.
        syntax: Transfer syntax.
        bare: Whether files lack preamble and meta information.
        enhanced: Whether a series is one multi-frame file.
        signed: Whether stored values are signed.
        bits: Bits of them that are used.
        slope: HU per stored value.
        intercept: HU of stored value 0.
        padding_hu: Value outside of the scanned circle; None if it is air as well.
        flipped: Array axes that run against z, y, x in LPS order: 0 has the head first, 1 and 2 lie prone, 2 came in
            feet first.
        first_number: Instance number of the first slice.
        file_name: Names of files.
        layout: A folder for each series, one for the examination, or a zip of it.
        companions: Further series of the examination, as `pipeline.phantom_archive.companions` names them.
    """

    manufacturer: str = "PLAIN"
    model: str = "1"
    private: tuple[int, str] = (0x0009, "")
    description: str = "PORTAL VENOUS"
    syntax: str = EXPLICIT
    bare: bool = False
    enhanced: bool = False
    signed: bool = True
    bits: int = 16
    slope: float = 1.0
    intercept: float = 0.0
    padding_hu: int | None = None
    flipped: tuple[int, ...] = ()
    first_number: int = 1
    file_name: str = "IM{:04d}.dcm"
    layout: Literal["nested", "flat", "zip"] = "nested"
    companions: tuple[str, ...] = ()


PLAIN = "plain"
"""The vendor of series with a fault, which are written as the fault has it."""
VENDORS = {
    PLAIN: Vendor(companions=("localizer",)),
    "siemens": Vendor(
        manufacturer="SIEMENS",
        model="SOMATOM Definition AS+",
        private=(0x0019, "SIEMENS CT VA0 COAD"),
        description="Abd portalvenös 3.0 B30f",
        signed=False,
        bits=12,
        intercept=-1024.0,
        flipped=(0,),
        file_name="{:08d}.IMA",
        companions=("localizer", "arterial", "coronal", "dose_document"),
    ),
    "ge": Vendor(
        manufacturer="GE MEDICAL SYSTEMS",
        model="LightSpeed VCT",
        private=(0x0009, "GEMS_IDEN_01"),
        description="VENOUS 2.5MM",
        syntax=IMPLICIT,
        intercept=-1024.0,
        padding_hu=-3024,
        file_name="i{:07d}.CTDC",
        layout="flat",
        companions=("localizer", "screen_save"),
    ),
    "philips": Vendor(
        manufacturer="Philips",
        model="IQon - Spectral CT",
        private=(0x00E1, "ELSCINT1"),
        description="Liver Portal, Enhanced",
        enhanced=True,
        signed=False,
        intercept=-1024.0,
        file_name="IM{:d}",
        companions=("localizer", "dose_page"),
    ),
    "canon": Vendor(
        manufacturer="Canon Medical Systems",
        model="Aquilion ONE",
        private=(0x7005, "TOSHIBA_MEC_CT3"),
        description="Body PV 5.0 CE",
        syntax=RLE,
        flipped=(1, 2),
        layout="zip",
        companions=("arterial", "coronal"),
    ),
    "toshiba": Vendor(
        manufacturer="TOSHIBA",
        model="Asteion",
        description="ABDO VEINEUX",
        syntax=IMPLICIT,
        bare=True,
        slope=0.5,
        intercept=-2048.0,
        flipped=(2,),
        first_number=0,
        file_name="{:d}",
        layout="flat",
        companions=("screen_save",),
    ),
    "siemens_archived": Vendor(
        manufacturer="SIEMENS",
        model="Sensation 64",
        private=(0x0021, "SIEMENS MED"),
        description="Leber venös 70s",
        syntax=JPEG_LOSSLESS,
        signed=False,
        intercept=-8192.0,
        flipped=(0,),
        file_name="CT{:06d}",
        companions=("dose_document", "arterial"),
    ),
    "ge_archived": Vendor(
        manufacturer="GE MEDICAL SYSTEMS",
        model="Revolution CT",
        private=(0x0043, "GEMS_PARM_01"),
        description="portal venous 1.25",
        syntax=JPEG_2000,
        signed=False,
        intercept=-1024.0,
        layout="zip",
        companions=("dose_page", "localizer"),
    ),
    "united": Vendor(
        manufacturer="UIH",
        model="uCT 760",
        private=(0x0065, "Image Private Header"),
        description="Abdomen PVP",
        syntax=DEFLATED,
        flipped=(0, 1, 2),
        first_number=0,
        companions=("coronal",),
    ),
}
"""By name. Manufacturers are named for the habits that their scanners and archives have shown."""
GOOD_VENDORS = tuple(name for name in VENDORS if name != PLAIN)
