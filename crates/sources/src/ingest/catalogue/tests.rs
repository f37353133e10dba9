use std::path::Path;

use proptest::prelude::*;

use super::*;

/// The same table, written by astropy, polars and Arrow.
const SAMPLES: [&str; 4] = ["sample.csv", "sample.fits", "sample-polars.parquet", "sample-arrow.parquet"];

fn golden(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ingest").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run make.py", path.display())).into()
}

fn column(name: &str, column: &str) -> Values {
    let catalogue = Catalogue::open(golden(name)).unwrap();
    let place = catalogue.names().iter().position(|found| found == column).unwrap();
    catalogue.read(&[place]).unwrap().remove(0)
}

#[test]
fn reads_the_same_table_from_every_format() {
    for name in SAMPLES {
        let ids = column(name, "objID").identifiers("objID").unwrap();
        let expected = [18, 19, 20].map(|last| Some(format!("12376487206937559{last}")));
        assert_eq!(ids, expected, "{name}");
        let unsigned = column(name, "specObjID").identifiers("specObjID").unwrap();
        let expected = ["9223372036854775809", "18446744073709551615", "7"].map(|id| Some(id.to_owned()));
        assert_eq!(unsigned, expected, "{name}");
        let fields: Vec<Option<String>> = (0..3).map(|row| column(name, "field").text(row)).collect();
        assert_eq!(fields, ["a", "b", "a"].map(|field| Some(field.to_owned())), "{name}");
        let z_spec = column(name, "z_spec").numbers("z_spec").unwrap();
        assert!(z_spec[0] == 0.125 && z_spec[1].is_nan() && z_spec[2] == 0.375, "{name}: {z_spec:?}");
        let r = column(name, "modelMag_r").numbers("modelMag_r").unwrap();
        assert!(r[0] == 20.25 && r[1].is_nan() && r[2] == 22.25, "{name}: {r:?}");
        // A whole number that is missing. FITS marks it with `TNULL`.
        let plate = column(name, "plate");
        assert_eq!([0, 1, 2].map(|row| plate.text(row)), [Some("1".into()), None, Some("3".into())], "{name}");
        assert!(plate.numbers("plate").unwrap()[1].is_nan(), "{name}");
    }
}

#[test]
fn returns_columns_in_the_requested_order() {
    for name in SAMPLES {
        let catalogue = Catalogue::open(golden(name)).unwrap();
        let place = |column: &str| catalogue.names().iter().position(|found| found == column).unwrap();
        let read = catalogue.read(&[place("RAJ2000"), place("DEJ2000")]).unwrap();
        assert_eq!(read[0].numbers("ra").unwrap(), [0.0, 180.5, 359.75], "{name}");
        assert_eq!(read[1].numbers("dec").unwrap(), [-90.0, 0.0, 90.0], "{name}");
    }
}

#[test]
fn rejects_files_and_columns_of_the_wrong_kind() {
    let rows = column("sample.fits", "objID").numbers("x").map(|ids| ids.len());
    assert_eq!(rows, Ok(3));
    let error = column("sample.fits", "z_spec").identifiers("z_spec").unwrap_err();
    assert!(error.contains("do not hold every digit"), "{error}");
    let error = column("sample.csv", "field").numbers("field").unwrap_err();
    assert_eq!(error, "row 0, column `field`: expected a number, found `a`");
    let catalogue = Catalogue::open(golden("sample.fits")).unwrap();
    let colours = catalogue.names().iter().position(|found| found == "colours").unwrap();
    assert!(catalogue.read(&[colours]).unwrap_err().contains("expected one value in each row, found 2"));
    let open = |bytes: &[u8]| Catalogue::open(Bytes::copy_from_slice(bytes)).map(|catalogue| catalogue.names().len());
    assert!(open(b"PK\x03\x04").unwrap_err().contains("zip archive"));
    assert!(open(b"PAR1").unwrap_err().contains("not a Parquet file"));
    assert!(open(b"SIMPLE  = x").unwrap_err().contains("not a readable FITS file"));
    assert!(open(&[0xff, 0xfe]).unwrap_err().contains("not a CSV file"));
    assert!(open(b"\x1f\x8b nothing").unwrap_err().contains("damaged gzip"));
    let cube = golden("cubes/1237648720693755918.fits");
    assert!(open(&cube).unwrap_err().contains("without a binary table"));
}

#[test]
fn skips_comments_and_a_byte_order_mark_in_csv() {
    let text = "\u{feff}#Table1\nid, u \n# a note\n 7 ,NULL\n8, 1e1\n";
    let catalogue = Catalogue::open(Bytes::from(text)).unwrap();
    // The byte order mark is before the comment, which is still a comment.
    assert_eq!(catalogue.names(), ["id", "u"]);
    let read = catalogue.read(&[0, 1]).unwrap();
    assert_eq!(read[0].identifiers("id").unwrap(), [Some("7".into()), Some("8".into())]);
    let u = read[1].numbers("u").unwrap();
    assert!(u[0].is_nan() && u[1] == 10.0);
    let none = Catalogue::open(Bytes::from("id,u\n")).unwrap();
    assert_eq!(none.read(&[0]).unwrap_err(), "no rows");
}

/// If the columns do not fill the rows, the decoder would read wrong bytes.
#[test]
fn rejects_fits_whose_columns_do_not_fill_its_rows() {
    let bytes = golden("sample.fits");
    let text = String::from_utf8_lossy(&bytes[..8640]).into_owned();
    let at = text.find("TFORM3  = 'D       '").unwrap();
    let mut damaged = bytes.to_vec();
    damaged[at + 11] = b'E';
    let error = Catalogue::open(damaged.into()).map(drop).unwrap_err();
    assert!(error.contains("the columns (`TFORM`) take"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Damage anywhere in the file gives an error or a table, never a panic.
    #[test]
    fn never_panics_on_damaged_catalogues(
        sample in 0..SAMPLES.len(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = golden(SAMPLES[sample]).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(catalogue) = Catalogue::open(Bytes::from(bytes)) {
            let places: Vec<usize> = (0..catalogue.names().len()).collect();
            for &place in &places {
                if let Ok(read) = catalogue.read(&[place]) {
                    drop(read[0].numbers("x"));
                    drop(read[0].identifiers("x"));
                }
            }
            drop(catalogue.read(&places));
        }
    }
}
