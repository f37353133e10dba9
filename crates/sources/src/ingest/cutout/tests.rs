use std::path::Path;

use proptest::prelude::*;

use super::*;

const IDS: [&str; 3] = ["1237648720693755918", "1237648720693755919", "1237648720693755920"];

fn golden(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ingest").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run make.py", path.display())).into()
}

/// Value of a pixel in the files that make.py writes.
fn pixel(object: usize, band: usize, line: usize, column: usize) -> f32 {
    (1000 * object + 100 * band + 10 * line + column) as f32 + 0.25
}

/// Builds a FITS file from cards and data, as the standard describes.
fn fits(cards: &[(&str, &str)], data: &[u8]) -> Bytes {
    let mut bytes = Vec::new();
    for (keyword, value) in cards {
        bytes.extend(format!("{keyword:<8}= {value:>20}{:50}", "").into_bytes());
    }
    bytes.extend(format!("{:<80}", "END").into_bytes());
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes.into()
}

fn image(bitpix: &str, sizes: &[&str], data: &[u8]) -> Bytes {
    let axes: Vec<String> = (1..=sizes.len()).map(|axis| format!("NAXIS{axis}")).collect();
    let count = sizes.len().to_string();
    let mut cards = vec![("SIMPLE", "T"), ("BITPIX", bitpix), ("NAXIS", &count)];
    cards.extend(axes.iter().map(String::as_str).zip(sizes.iter().copied()));
    fits(&cards, data)
}

#[test]
fn reads_cubes_that_astropy_wrote() {
    for (object, id) in IDS.into_iter().enumerate() {
        let cutout = read(golden(&format!("cubes/{id}.fits")), 5).unwrap();
        assert_eq!((cutout.height, cutout.width), (4, 3), "{id}");
        let mut pixels = cutout.pixels.into_iter();
        for (band, line, column) in (0..5).flat_map(|b| (0..4).flat_map(move |y| (0..3).map(move |x| (b, y, x)))) {
            let found = pixels.next().unwrap();
            if object == 1 && (band, line, column) == (0, 0, 0) {
                assert!(found.is_nan(), "an undefined pixel");
            } else {
                assert_eq!(found, pixel(object, band, line, column), "{id} band {band}, {line}, {column}");
            }
        }
    }
}

/// Their offset is 2^63. If it were added in float64, every small pixel would become 0.
#[test]
fn rejects_unsigned_integers_of_64_bits() {
    let pixel = [0x80, 0, 0, 0, 0, 0, 0, 7];
    for zero in ["9223372036854775808", "9.22337203685478E18"] {
        let cards =
            [("SIMPLE", "T"), ("BITPIX", "64"), ("NAXIS", "2"), ("NAXIS1", "1"), ("NAXIS2", "1"), ("BZERO", zero)];
        let error = read(fits(&cards, &pixel), 1).unwrap_err();
        assert!(error.contains("unsigned integers of 64 bits"), "{error}");
    }
}

#[test]
fn reads_one_plane_compressed_by_gzip() {
    let cutout = read(golden("bands/1237648720693755920-i.fits.gz"), 1).unwrap();
    assert_eq!((cutout.height, cutout.width, cutout.pixels[0]), (4, 3, pixel(2, 3, 0, 0)));
    assert_eq!(cutout.pixels[11], pixel(2, 3, 3, 2));
    let error = read(golden("bands/1237648720693755920-i.fits.gz"), 5).unwrap_err();
    assert!(error.contains("found an image of 3×4") && error.contains("`{band}`"), "{error}");
    let error = read(golden("cubes/1237648720693755918.fits"), 1).unwrap_err();
    assert!(error.contains("expected one plane, found an image of 3×4×5"), "{error}");
}

#[test]
fn reads_pixels_of_every_type() {
    let one = |bitpix: &str, data: &[u8]| read(image(bitpix, &["2", "1"], data), 1).map(|cutout| cutout.pixels);
    assert_eq!(one("8", &[3, 255]), Ok(vec![3.0, 255.0]));
    assert_eq!(one("16", &[0xff, 0xff, 0, 7]), Ok(vec![-1.0, 7.0]));
    assert_eq!(one("32", &[0xff, 0xff, 0xff, 0xfe, 0, 0, 1, 0]), Ok(vec![-2.0, 256.0]));
    assert_eq!(one("64", &[5_i64.to_be_bytes(), (-6_i64).to_be_bytes()].concat()), Ok(vec![5.0, -6.0]));
    assert_eq!(
        one("-32", &[1.5_f32.to_be_bytes(), f32::INFINITY.to_be_bytes()].concat()),
        Ok(vec![1.5, f32::INFINITY])
    );
    assert_eq!(one("-64", &[0.1_f64.to_be_bytes(), (-1e-3_f64).to_be_bytes()].concat()), Ok(vec![0.1, -1e-3]));
    let degenerate = read(image("8", &["2", "1", "1", "1"], &[1, 2]), 1).unwrap();
    assert_eq!((degenerate.height, degenerate.width), (1, 2));
    let unit = fits(
        &[
            ("SIMPLE", "T"),
            ("BITPIX", "8"),
            ("NAXIS", "2"),
            ("NAXIS1", "1"),
            ("NAXIS2", "1"),
            ("BUNIT", "'nanomaggy'        "),
        ],
        &[1],
    );
    assert_eq!(read(unit, 1).unwrap().unit.as_deref(), Some("nanomaggy"));
}

#[test]
fn rejects_false_headers() {
    for (sizes, message) in [
        (&["4000000000", "4000000000", "5"][..], "overflow"),
        (&["100000", "1", "5"], "end of file"),
        (&["-1", "2", "5"], ""),
        (&["0", "2", "5"], "expected sides of 1 to"),
        (&["2", "2"], "found an image of 2×2"),
        (&["5"], "without an image"),
    ] {
        let error = read(image("8", sizes, &[0; 20]), 5).unwrap_err();
        assert!(error.contains(message), "{sizes:?}: {error}");
    }
    let long = image("8", &["5000", "1", "5"], &[0; 25_000]);
    assert!(read(long, 5).unwrap_err().contains("expected sides of 1 to 4096"));
    assert!(read(image("7", &["1", "1", "5"], &[0; 5]), 5).unwrap_err().contains("7"));
    assert!(read(Bytes::from_static(b"hello"), 5).unwrap_err().contains("not a FITS file"));
    assert!(read(Bytes::new(), 5).unwrap_err().contains("not a FITS file"));
    let whole = golden("cubes/1237648720693755918.fits");
    assert!(read(whole.slice(..2900), 5).unwrap_err().contains("end of file"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Damage anywhere in the file gives an error or an image of the stated size, never a panic.
    #[test]
    fn never_panics_on_damaged_cutouts(
        object in 0..4_usize,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        digits in proptest::collection::vec((any::<proptest::sample::Index>(), b'0'..=b'9'), 0..3),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let (name, planes) = match object {
            3 => ("bands/1237648720693755920-i.fits.gz".to_owned(), 1),
            object => (format!("cubes/{}.fits", IDS[object]), 5),
        };
        let mut bytes = golden(&name).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // Change digits where the values of cards end, which gives false sizes.
        for (card, digit) in digits {
            let at = card.index(bytes.len() / 80) * 80 + 29;
            bytes[at] = digit;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(cutout) = read(Bytes::from(bytes), planes) {
            prop_assert_eq!(cutout.pixels.len(), planes * cutout.height * cutout.width);
        }
    }
}
