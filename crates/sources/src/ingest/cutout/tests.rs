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
        let cutout = read(golden(&format!("cubes/{id}.fits")), Wanted::Cube).unwrap();
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
        let error = read(fits(&cards, &pixel), Wanted::Band(3)).unwrap_err();
        assert!(error.contains("unsigned integers of 64 bits"), "{error}");
    }
}

#[test]
fn reads_one_plane_compressed_by_gzip() {
    let cutout = read(golden("bands/1237648720693755920-i.fits.gz"), Wanted::Band(3)).unwrap();
    assert_eq!((cutout.height, cutout.width, cutout.pixels[0]), (4, 3, pixel(2, 3, 0, 0)));
    assert_eq!(cutout.pixels[11], pixel(2, 3, 3, 2));
    let error = read(golden("bands/1237648720693755920-i.fits.gz"), Wanted::Cube).unwrap_err();
    assert!(error.contains("found an image of 3×4") && error.contains("`{band}`"), "{error}");
    let error = read(golden("cubes/1237648720693755918.fits"), Wanted::Band(3)).unwrap_err();
    assert!(error.contains("expected one plane, found an image of 3×4×5"), "{error}");
}

#[test]
fn reads_pixels_of_every_type() {
    let one =
        |bitpix: &str, data: &[u8]| read(image(bitpix, &["2", "1"], data), Wanted::Band(3)).map(|cutout| cutout.pixels);
    assert_eq!(one("8", &[3, 255]), Ok(vec![3.0, 255.0]));
    assert_eq!(one("16", &[0xff, 0xff, 0, 7]), Ok(vec![-1.0, 7.0]));
    assert_eq!(one("32", &[0xff, 0xff, 0xff, 0xfe, 0, 0, 1, 0]), Ok(vec![-2.0, 256.0]));
    assert_eq!(one("64", &[5_i64.to_be_bytes(), (-6_i64).to_be_bytes()].concat()), Ok(vec![5.0, -6.0]));
    assert_eq!(
        one("-32", &[1.5_f32.to_be_bytes(), f32::INFINITY.to_be_bytes()].concat()),
        Ok(vec![1.5, f32::INFINITY])
    );
    assert_eq!(one("-64", &[0.1_f64.to_be_bytes(), (-1e-3_f64).to_be_bytes()].concat()), Ok(vec![0.1, -1e-3]));
    let degenerate = read(image("8", &["2", "1", "1", "1"], &[1, 2]), Wanted::Band(3)).unwrap();
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
    assert_eq!(read(unit, Wanted::Band(3)).unwrap().unit.as_deref(), Some("nanomaggy"));
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
        let error = read(image("8", sizes, &[0; 20]), Wanted::Cube).unwrap_err();
        assert!(error.contains(message), "{sizes:?}: {error}");
    }
    let long = image("8", &["5000", "1", "5"], &[0; 25_000]);
    assert!(read(long, Wanted::Cube).unwrap_err().contains("expected sides of 1 to 4096"));
    assert!(read(image("7", &["1", "1", "5"], &[0; 5]), Wanted::Cube).unwrap_err().contains("7"));
    for (bytes, message) in [(&b"hello"[..], "a text file"), (b"\0\x01", "not a FITS file"), (b"", "an empty file")] {
        let error = read(Bytes::from_static(bytes), Wanted::Cube).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
    let whole = golden("cubes/1237648720693755918.fits");
    assert!(read(whole.slice(..2900), Wanted::Cube).unwrap_err().contains("end of file"));
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
        if let Ok(cutout) = read(Bytes::from(bytes), if planes == 1 { Wanted::Band(3) } else { Wanted::Cube }) {
            prop_assert_eq!(cutout.pixels.len(), planes * cutout.height * cutout.width);
        }
    }
}

/// Builds a file of a first part without data, and one extension of 2×1 pixels for each list of cards.
fn extensions(cards: &[&[(&str, &str)]]) -> Bytes {
    let mut bytes = fits(&[("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "0")], &[]).to_vec();
    for (number, more) in (1..).zip(cards) {
        let mut cards = vec![
            ("XTENSION", "'IMAGE   '"),
            ("BITPIX", "8"),
            ("NAXIS", "2"),
            ("NAXIS1", "2"),
            ("NAXIS2", "1"),
            ("PCOUNT", "0"),
            ("GCOUNT", "1"),
        ];
        cards.extend(*more);
        bytes.extend(fits(&cards, &[number, number + 10]));
    }
    bytes.into()
}

/// A cube of 2×1 pixels and this number of planes; plane p has the pixels p and p + 10.
fn cube(planes: u8, more: &[(&str, &str)]) -> Bytes {
    let count = planes.to_string();
    let mut cards = vec![("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "3")];
    cards.extend([("NAXIS1", "2"), ("NAXIS2", "1"), ("NAXIS3", count.as_str())]);
    cards.extend(more);
    let data: Vec<u8> = (0..planes).flat_map(|plane| [plane, plane + 10]).collect();
    fits(&cards, &data)
}

fn first_of_planes(bytes: Bytes) -> Result<Vec<f32>, String> {
    read(bytes, Wanted::Cube).map(|cutout| cutout.pixels.into_iter().step_by(2).collect())
}

#[test]
fn takes_planes_by_the_bands_of_the_header() {
    assert_eq!(first_of_planes(cube(5, &[])), Ok(vec![0.0, 1.0, 2.0, 3.0, 4.0]));
    assert_eq!(first_of_planes(cube(5, &[("BANDS", "'ugriz   '")])), Ok(vec![0.0, 1.0, 2.0, 3.0, 4.0]));
    assert_eq!(first_of_planes(cube(5, &[("BANDS", "'zirgu   '")])), Ok(vec![4.0, 3.0, 2.0, 1.0, 0.0]));
    assert_eq!(first_of_planes(cube(6, &[("BANDS", "'yugriz  '")])), Ok(vec![1.0, 2.0, 3.0, 4.0, 5.0]));
    let numbered = [("BAND0", "'g       '"), ("BAND1", "'u       '"), ("BAND2", "'r       '"), ("BAND3", "'i       '")];
    let numbered = [&numbered[..], &[("BAND4", "'z       '")]].concat();
    assert_eq!(first_of_planes(cube(5, &numbered)), Ok(vec![1.0, 0.0, 2.0, 3.0, 4.0]));
    for (planes, cards, message) in [
        (5, &[("BANDS", "'grizy   '")][..], "states the bands g r i z y (BANDS); expected u g r i z"),
        (5, &[("BANDS", "'griz    '")], "states the bands g r i z (BANDS)"),
        (5, &[("BANDS", "'uugri   '")], "u occurs twice"),
        (5, &[("BANDS", "'yugriz  '")], "has 5 planes"),
        (6, &[], "found an image of 2×1×6"),
        (17, &[("BANDS", "'ugriz   '")], "found an image of 2×1×17"),
    ] {
        let error = first_of_planes(cube(planes, cards)).unwrap_err();
        assert!(error.contains(message), "{cards:?}: {error}");
    }
}

#[test]
fn takes_five_extensions_by_their_bands() {
    let names = ["'Z       '", "'sdss_u  '", "'g       '", "'mask    '", "'R       '", "'i       '"];
    let cards: Vec<[(&str, &str); 1]> = names.map(|name| [("EXTNAME", name)]).to_vec();
    let all: Vec<&[(&str, &str)]> = cards.iter().map(|cards| &cards[..]).collect();
    assert_eq!(first_of_planes(extensions(&all)), Ok(vec![2.0, 3.0, 5.0, 6.0, 1.0]));
    let error = first_of_planes(extensions(&all[..5])).unwrap_err();
    assert!(error.contains("states the bands z u g r (EXTNAME or FILTER of the extensions)"), "{error}");
    let error = first_of_planes(extensions(&[&[], &[], &[], &[], &[]])).unwrap_err();
    assert!(error.contains("5 images in extensions, whose headers do not state a band"), "{error}");
    assert!(first_of_planes(extensions(&[&[]])).unwrap_err().contains("`{band}`"));

    let band = |band: usize, file: &[&[(&str, &str)]]| read(extensions(file), Wanted::Band(band)).map(|c| c.pixels[0]);
    assert_eq!(band(2, &all), Ok(5.0));
    assert_eq!(band(3, &[&[("FILTER", "'i       '")]]), Ok(1.0));
    assert_eq!(band(3, &[&[]]), Ok(1.0));
    let error = band(3, &[&[("FILTER", "'r       '")]]).unwrap_err();
    assert_eq!(error, "the header states the band r; expected i");
}

#[test]
fn reads_bzip2_and_names_other_files() {
    use std::io::Write;
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(&cube(5, &[])).unwrap();
    assert_eq!(first_of_planes(encoder.finish().unwrap().into()), Ok(vec![0.0, 1.0, 2.0, 3.0, 4.0]));
    let error = first_of_planes(Bytes::from_static(b"\x89HDF\r\n\x1a\n")).unwrap_err();
    assert!(error.contains("expected a FITS file, but the file is an HDF5 file"), "{error}");
}

#[test]
fn rejects_data_that_differ_from_their_checksum() {
    let sum = |text: &'static str| cube(5, &[("DATASUM", text)]);
    let error = first_of_planes(sum("'1       '")).unwrap_err();
    assert!(error.contains("damaged: DATASUM differs"), "{error}");
}

/// A cube of 2×1×5 pixels of 16 bits in five tiles that are stored as they are.
fn compressed_cube(more: &[(&str, &str)]) -> Bytes {
    let mut cards = vec![
        ("XTENSION", "'BINTABLE'"),
        ("BITPIX", "8"),
        ("NAXIS", "2"),
        ("NAXIS1", "8"),
        ("NAXIS2", "5"),
        ("PCOUNT", "20"),
        ("GCOUNT", "1"),
        ("TFIELDS", "1"),
        ("TTYPE1", "'COMPRESSED_DATA'"),
        ("TFORM1", "'1PB(4)  '"),
        ("ZIMAGE", "T"),
        ("ZBITPIX", "16"),
        ("ZNAXIS", "3"),
        ("ZNAXIS1", "2"),
        ("ZNAXIS2", "1"),
        ("ZNAXIS3", "5"),
        ("ZTILE1", "2"),
        ("ZTILE2", "1"),
        ("ZTILE3", "1"),
    ];
    if !more.iter().any(|(keyword, _)| *keyword == "ZCMPTYPE") {
        cards.push(("ZCMPTYPE", "'NOCOMPRESS'"));
    }
    cards.extend(more);
    let mut data: Vec<u8> =
        (0..5_u32).flat_map(|tile| [4_u32.to_be_bytes(), (4 * tile).to_be_bytes()].concat()).collect();
    data.extend((0..10_i16).flat_map(i16::to_be_bytes));
    let primary = fits(&[("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "0")], &[]);
    [primary, fits(&cards, &data)].concat().into()
}

/// Undefined pixels are not numbers, also if only `ZBLANK` states their value.
#[test]
fn applies_the_blank_of_a_compressed_image() {
    let pixels = |more: &[(&str, &str)]| read(compressed_cube(more), Wanted::Cube).map(|cutout| cutout.pixels);
    let plain: Vec<f32> = (0..10_u8).map(f32::from).collect();
    assert_eq!(pixels(&[]), Ok(plain.clone()));
    for more in [&[("ZBLANK", "7")][..], &[("BLANK", "7")], &[("ZBLANK", "7"), ("BLANK", "7")]] {
        let found = pixels(more).unwrap();
        assert!(found[7].is_nan() && found[..7] == plain[..7] && found[8..] == plain[8..], "{more:?}: {found:?}");
    }
}

#[test]
fn rejects_false_tiles() {
    let error = |more: &[(&str, &str)]| read(compressed_cube(more), Wanted::Cube).unwrap_err();
    let bands = error(&[("ZCMPTYPE", "'RICE_1  '"), ("ZNAME1", "'BLOCKSIZE'"), ("ZVAL1", "-1")]);
    assert!(bands.contains("ZVAL1 = -1 (BLOCKSIZE)"), "{bands}");
    assert!(error(&[("ZCMPTYPE", "'OTHER   '")]).contains("ZCMPTYPE"));
}
