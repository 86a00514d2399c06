"""A hospital archive of phantoms: their scans as DICOM files in several vendors' habits, reports, masks and the truth.

Every name, id, date and text of a patient is a canary: where one is found outside of the archive, something leaks.
"""

from __future__ import annotations
