"""Writes the files of this folder: three galaxies with 5 bands, 4 lines and 3 columns, as astropy and numpy save them.

    python3 make.py        # astropy 8.0, numpy 2.4

A pixel is 1000 o + 100 b + 10 y + x + 0.25 for object o, band b, line y, column x. The tests compute the same values.
A comment marks the pixels that a format cannot hold.
"""

import gzip
import io
import os

import numpy as np
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table

HERE = os.path.dirname(os.path.abspath(__file__))
IDS = np.array([1237648720693755918, 1237648720693755919, 1237648720693755920])
BANDS = "ugriz"

o, b, y, x = np.meshgrid(np.arange(3), np.arange(5), np.arange(4), np.arange(3), indexing="ij")
IMAGES = (1000 * o + 100 * b + 10 * y + x + 0.25).astype("f4")
MAGNITUDES = 20 + np.arange(3)[:, None] + 0.125 * np.arange(5)
MAGNITUDES[1, 2] = np.nan
REDSHIFT = np.array([0.125, np.nan, 0.375])
RA = np.array([0.0, 180.5, 359.75])
DEC = np.array([-90.0, 0.0, 90.0])


def path(*names):
    os.makedirs(os.path.join(HERE, *names[:-1]), exist_ok=True)
    return os.path.join(HERE, *names)


# numpy: several widths, both byte orders and all kinds of text; plus one array that is not part of a partition.
arrays = dict(images=IMAGES, magnitudes=MAGNITUDES, redshift=REDSHIFT, object_id=IDS, ra=RA, dec=DEC)
np.savez(path("plain.npz"), **arrays, confidence=np.array(["A", "B", "A"]))
np.savez_compressed(
    path("packed.npz"),
    images=IMAGES.astype(">f8"),
    magnitudes=np.asfortranarray(MAGNITUDES.astype(">f4")),
    redshift=REDSHIFT.astype("f4"),
    object_id=np.array([f"galaxy {i}é" for i in range(3)]).astype(">U12"),
    ra=RA.astype("f2"),
    dec=DEC.astype("i1"),
)
np.save(path("objects.npy"), np.array([1, "a", None], dtype=object), allow_pickle=True)
np.save(path("bytes_id.npy"), np.array([b"a", b"bb", b"ccc"]))
np.save(path("unsigned_id.npy"), np.array([1, 2**63, 2**64 - 1], dtype=">u8"))
np.save(path("fortran_images.npy"), np.asfortranarray(IMAGES))

# Table: integers that float64 cannot hold, text, floats of both widths, a masked integer, unsigned integers (TZERO).
table = Table(
    {
        "objID": IDS,
        "specObjID": np.array([2**63 + 1, 2**64 - 1, 7], dtype="u8"),
        "RAJ2000": RA,
        "DEJ2000": DEC,
        "field": ["a", "b", "a"],
        "z_spec": REDSHIFT,
        "plate": MaskedColumn([1, 2, 3], mask=[False, True, False], dtype="i2", fill_value=-99),
        "colours": np.zeros((3, 2)),
        **{f"modelMag_{band}": MAGNITUDES[:, i].astype("f4") for i, band in enumerate(BANDS)},
    }
)
table.write(path("sample.fits"), overwrite=True)
# VOTable has no unsigned integers of 64 bits: text holds every digit.
votable = table.copy()
votable["specObjID"] = [str(number) for number in table["specObjID"]]
file = from_table(votable)
# The first binary form has no other way to mark a missing integer.
file.get_first_table().get_field_by_id("plate").values.null = -99
for form in ["tabledata", "binary", "binary2"]:
    file.to_xml(path(f"sample-{form}.vot"), tabledata_format=form)
table.remove_column("colours")
table.write(path("sample.csv"), overwrite=True)

# Cutouts, one cube each: float32; scaled int16 with an undefined pixel (line 0, column 0 of band u); lossless
# compression.
ints = (IMAGES[1] - 0.25 - 1000).astype("i2")
ints[0, 0, 0] = -32768
scaled = fits.PrimaryHDU(ints)
scaled.header["BSCALE"], scaled.header["BZERO"], scaled.header["BLANK"] = 1.0, 1000.25, -32768
packed = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(IMAGES[2], compression_type="GZIP_2", quantize_level=0)])
for name, hdu in zip(IDS, [fits.PrimaryHDU(IMAGES[0]), scaled, packed]):
    hdu.writeto(path("cubes", f"{name}.fits"), overwrite=True)

# Cutouts of the same objects, one gzip file for each band, float64.
for i, name in enumerate(IDS):
    for j, band in enumerate(BANDS):
        plain = io.BytesIO()
        fits.PrimaryHDU(IMAGES[i, j].astype(">f8")).writeto(plain)
        with open(path("bands", f"{name}-{band}.fits.gz"), "wb") as file:
            file.write(gzip.compress(plain.getvalue(), mtime=0))
