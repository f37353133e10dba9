use std::path::Path;

use proptest::prelude::*;

use super::*;

/// The same table, written by astropy, polars and Arrow.
const SAMPLES: [&str; 7] = [
    "sample.csv",
    "sample.fits",
    "sample-polars.parquet",
    "sample-arrow.parquet",
    "sample-tabledata.vot",
    "sample-binary.vot",
    "sample-binary2.vot",
];

fn golden(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/ingest").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run make.py", path.display())).into()
}

fn column(name: &str, column: &str) -> Values {
    let catalogue = Catalogue::open(golden(name), &[]).unwrap();
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
        let catalogue = Catalogue::open(golden(name), &[]).unwrap();
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
    let catalogue = Catalogue::open(golden("sample.fits"), &[]).unwrap();
    assert!(catalogue.names().contains(&"colours[1]".to_owned()), "{:?}", catalogue.names());
    let open =
        |bytes: &[u8]| Catalogue::open(Bytes::copy_from_slice(bytes), &[]).map(|catalogue| catalogue.names().len());
    assert!(open(b"PK\x03\x04").unwrap_err().contains("zip archive"));
    assert!(open(b"PAR1").unwrap_err().contains("not a Parquet file"));
    assert!(open(b"SIMPLE  = x").unwrap_err().contains("not a readable FITS file"));
    assert!(open(b"\xff\xfei\0d\0").unwrap_err().contains("text in UTF-16"));
    assert!(open(b"id,u\xff\n").unwrap_err().contains("not a CSV file"));
    assert!(open(b"\x1f\x8b nothing").unwrap_err().contains("damaged gzip"));
    let cube = golden("cubes/1237648720693755918.fits");
    assert!(open(&cube).unwrap_err().contains("without a binary table"));
}

#[test]
fn skips_comments_and_a_byte_order_mark_in_csv() {
    let text = "\u{feff}#Table1\nid, u \n# a note\n 7 ,NULL\n8, 1e1\n";
    let catalogue = Catalogue::open(Bytes::from(text), &[]).unwrap();
    // The byte order mark is before the comment, which is still a comment.
    assert_eq!(catalogue.names(), ["id", "u"]);
    let read = catalogue.read(&[0, 1]).unwrap();
    assert_eq!(read[0].identifiers("id").unwrap(), [Some("7".into()), Some("8".into())]);
    let u = read[1].numbers("u").unwrap();
    assert!(u[0].is_nan() && u[1] == 10.0);
    let none = Catalogue::open(Bytes::from("id,u\n"), &[]).unwrap();
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
    let error = Catalogue::open(damaged.into(), &[]).map(drop).unwrap_err();
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
        if let Ok(catalogue) = Catalogue::open(Bytes::from(bytes), &[]) {
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

/// Names and first value of each column of a table of text.
fn read_text(text: &str) -> Result<(Vec<String>, Vec<Option<String>>), String> {
    let catalogue = Catalogue::open(Bytes::from(text.to_owned()), &[])?;
    let places: Vec<usize> = (0..catalogue.names().len()).collect();
    let read = catalogue.read(&places)?;
    Ok((catalogue.names().to_vec(), read.iter().map(|column| column.text(0)).collect()))
}

#[test]
fn reads_text_with_any_delimiter_and_header() {
    let ecsv =
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: id, datatype: int64}\nid u z_spec\n7 19.5 0.1\n8 \"\" 0.2\n";
    let ecsv_commas = "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\nid,u,z_spec\n7,19.5,0.1\n";
    for text in [
        "id,u,z_spec\n7,19.5,0.1\n",
        "id\tu\tz_spec\n7\t19.5\t0.1\n",
        "id;u;z_spec\r\n7;19.5;0.1\r\n",
        "id|u|z_spec\n7|19.5|0.1\n",
        "id u  z_spec\n7  19.5 0.1\n",
        "  id    u    z_spec\n   7 19.5    0.1\n",
        "# id u z_spec\n7 19.5 0.1\n",
        "# id,u,z_spec\n7,19.5,0.1\n",
        "#id\tu\tz_spec\n7\t19.5\t0.1\n",
        "# id u z_spec\n7,19.5,0.1\n",
        "# made by x 2\n# id u z_spec\n# a note\n\n7 19.5 0.1\n",
        "# RESOURCE=yCat\nid\tu\tz_spec\n \tmag\t\n--\t-----\t---\n7\t19.5\t0.1\n",
        " id | u    | z_spec\n----+------+-------\n 7  | 19.5 | 0.1\n",
        "id,\"u\",z_spec\n7,\"19.5\",0.1\n",
        ecsv,
        ecsv_commas,
    ] {
        let expected: Vec<Option<String>> = ["7", "19.5", "0.1"].map(|value| Some(value.to_owned())).to_vec();
        let names = ["id", "u", "z_spec"].map(str::to_owned).to_vec();
        assert_eq!(read_text(text), Ok((names, expected)), "{text}");
    }
}

#[test]
fn names_text_that_is_no_table_of_its_kind() {
    for (text, message) in [
        ("7,19.5,0.1\n8,20,0.2\n", "no line with the names of the columns"),
        ("# a note\n7,19.5,0.1\n", "no line with the names of the columns"),
        ("id,u\n7,19.5\n8\n", "line 3: 1 fields, but 2 columns have names"),
        ("id u\n7 19.5\n\n8 20 21\n", "line 4: 3 fields, but 2 columns have names"),
        ("# x\nid,u\n# y\n7,19.5\n8,1,2\n", "line 5: 3 fields"),
        ("", "the file is an empty file"),
        ("\n\n", "no text in the file"),
        ("# only\n# comments\n", "only comments"),
        ("\\catalog=x\n|id|u|\n|int|double|\n 7  19.5\n", "an IPAC table"),
        ("|id|u|\n|int|double|\n 7  19.5\n", "an IPAC table"),
        ("<?xml version='1.0'?><VOTABLE version='1.3'>", "the VOTable ends within an element"),
        ("<!DOCTYPE html><html>404</html>", "an HTML page"),
        ("version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        ("# %ECSV 1.0\n# delimiter: ';'\nid;u\n7;1\n", "ECSV with the delimiter ';'"),
    ] {
        let error = read_text(text).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn rejects_identifiers_that_were_written_as_floats() {
    let ids = |values: &[&str]| {
        Values::Texts(values.iter().map(|value| Some((*value).to_owned())).collect()).identifiers("objID")
    };
    for values in [
        &["1.23764872069376E+18"][..],
        &["1237648720693755904.0"],
        &["1237648720693755918", "1.23764872069376e18"],
        &["7", "", "8.0"],
        &["7", "nan", "8."],
    ] {
        let error = ids(values).unwrap_err();
        assert!(error.contains("which do not hold every digit of an identifier"), "{values:?}: {error}");
    }
    // Identifiers of letters and digits may look like a number by chance.
    for values in [&["12e5", "a0f7"][..], &["266.51630.1"], &["J1234.5+01"], &["-7"]] {
        assert!(ids(values).is_ok(), "{values:?}");
    }
}

fn parquet(columns: Vec<(&str, arrow_array::ArrayRef)>) -> Vec<u8> {
    let batch = arrow_array::RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, values)| (name, values, true)),
    );
    let batch = batch.unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn reads_types_that_pandas_and_polars_write_to_parquet() {
    use std::sync::Arc;

    use arrow_array::types::{Float32Type, Int32Type};
    use arrow_array::{DictionaryArray, FixedSizeListArray, LargeStringArray, ListArray, NullArray, StringViewArray};
    let row = || Some([1.0, 2.0, 3.0, 4.0, 5.0].map(Some).to_vec());
    let dictionary: DictionaryArray<Int32Type> = vec!["a", "b"].into_iter().collect();
    let bytes = parquet(vec![
        ("large", Arc::new(LargeStringArray::from(vec!["a", "b"]))),
        ("view", Arc::new(StringViewArray::from(vec!["a", "b"]))),
        ("dictionary", Arc::new(dictionary)),
        ("z_spec", Arc::new(NullArray::new(2))),
        ("MODELMAG", Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>([row(), row()]))),
        ("PSFMAG", Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>([row(), row()], 5))),
        ("ragged", Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>([row(), Some(vec![Some(1.0)])]))),
    ]);
    let catalogue = Catalogue::open(bytes.into(), &[]).unwrap();
    let read = |name: &str| {
        let place = catalogue.names().iter().position(|found| found == name).unwrap_or_else(|| panic!("{name}"));
        catalogue.read(&[place]).map(|mut read| read.remove(0))
    };
    for name in ["large", "view", "dictionary"] {
        assert_eq!(read(name).unwrap().text(1).as_deref(), Some("b"), "{name}");
    }
    assert!(read("z_spec").unwrap().numbers("z_spec").unwrap()[1].is_nan());
    assert_eq!(read("z_spec").unwrap().identifiers("z_spec"), Ok(vec![None, None]));
    for name in ["MODELMAG[4]", "PSFMAG[4]"] {
        assert_eq!(read(name).unwrap().numbers(name), Ok(vec![5.0, 5.0]));
    }
    assert!(read("ragged[0]").unwrap_err().contains("lists of different lengths"));
    // Both scales of magnitudes are complete, so the user must choose.
    let error = crate::ingest::columns::choose(catalogue.names(), &[]).unwrap_err();
    assert!(error.contains("`MODELMAG[0]`") && error.contains("`PSFMAG[0]`"), "{error}");
}

/// A run-length page of a few bytes may repeat a value billions of times. Only the rows of the metadata are read.
#[test]
fn rejects_parquet_with_more_rows_than_its_metadata_state() {
    use std::sync::Arc;
    let bytes = parquet(vec![("u", Arc::new(arrow_array::Int64Array::from(vec![None; 5000])))]);
    // The number of rows, as a variable-length integer after the type of its field.
    let (found, stated) = ([0x16, 0x90, 0x4e], [0x16, 0x86, 0x00]);
    let places: Vec<usize> = (0..bytes.len() - 3).filter(|&at| bytes[at..at + 3] == found).collect();
    assert!(places.len() >= 2, "{places:?}");
    for patched in [&places[..], &places[places.len() - 1..], &places[places.len() - 2..]] {
        let mut damaged = bytes.clone();
        for &at in patched {
            damaged[at..at + 3].copy_from_slice(&stated);
        }
        let read = Catalogue::open(damaged.into(), &[]).and_then(|catalogue| catalogue.read(&[0]));
        // The metadata of the file state 3 rows if the first place is patched, 5,000 otherwise.
        let stated = if patched.len() == places.len() { 3 } else { 5000 };
        match read {
            Ok(read) => assert!(read[0].len() <= stated, "{patched:?}: {}", read[0].len()),
            Err(error) => assert!(!error.is_empty()),
        }
    }
}

/// One FITS table after another, each of one row of float64 columns with these names and repeat counts.
fn fits_tables(tables: &[&[(&str, usize)]]) -> Bytes {
    fn header(bytes: &mut Vec<u8>, cards: &[(String, String)]) {
        for (keyword, value) in cards {
            bytes.extend(format!("{keyword:<8}= {value:>20}{:50}", "").into_bytes());
        }
        bytes.extend(format!("{:<80}", "END").into_bytes());
        bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    }
    let card = |keyword: &str, value: String| (keyword.to_owned(), value);
    let mut bytes = Vec::new();
    let primary = [("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "0")];
    header(&mut bytes, &primary.map(|(keyword, value)| card(keyword, value.to_owned())));
    for columns in tables {
        let count: usize = columns.iter().map(|(_, repeat)| repeat).sum();
        let mut cards = vec![
            card("XTENSION", "'BINTABLE'".into()),
            card("BITPIX", "8".into()),
            card("NAXIS", "2".into()),
            card("NAXIS1", (8 * count).to_string()),
            card("NAXIS2", "1".into()),
            card("PCOUNT", "0".into()),
            card("GCOUNT", "1".into()),
            card("TFIELDS", columns.len().to_string()),
        ];
        for (number, (name, repeat)) in (1..).zip(*columns) {
            cards.push(card(&format!("TTYPE{number}"), format!("'{name:<8}'")));
            cards.push(card(&format!("TFORM{number}"), format!("'{:<8}'", format!("{repeat}D"))));
        }
        header(&mut bytes, &cards);
        (0..count).for_each(|value| bytes.extend((value as f64).to_be_bytes()));
        bytes.resize(bytes.len().next_multiple_of(2880), 0);
    }
    bytes.into()
}

#[test]
fn reads_vector_columns_and_later_tables_of_fits() {
    let catalogue = Catalogue::open(fits_tables(&[&[("id", 1), ("MODELMAG", 5), ("WIDE", 40)]]), &[]).unwrap();
    assert_eq!(catalogue.names()[..3], ["id", "MODELMAG[0]", "MODELMAG[1]"]);
    let chosen = crate::ingest::columns::choose(catalogue.names(), &[]).unwrap();
    let read = catalogue.read(&chosen.bands).unwrap();
    let values: Vec<f64> = read.iter().map(|column| column.numbers("x").unwrap()[0]).collect();
    assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(catalogue.read(&[6]).unwrap_err().contains("column `WIDE`: expected one value in each row, found 40"));

    let magnitudes = [("u", 1), ("g", 1), ("r", 1), ("i", 1), ("z", 1)];
    let second = Catalogue::open(fits_tables(&[&[("gain", 1)], &magnitudes]), &[]).unwrap();
    assert_eq!(second.names(), ["u", "g", "r", "i", "z"]);
    let error = Catalogue::open(fits_tables(&[&magnitudes, &[("x", 1)], &magnitudes]), &[]).map(drop).unwrap_err();
    assert!(error.contains("tables 1 and 3 of the file both have magnitudes"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Any table, written with any delimiter, is read back by name, whatever its values.
    #[test]
    fn finds_the_delimiter_of_any_table(
        rows in proptest::collection::vec(proptest::collection::vec("-?[0-9]{1,3}(\\.[0-9]{1,3})?", 3), 1..6),
        delimiter in 0..5_usize,
        is_comment in any::<bool>(),
        ending in prop_oneof![Just("\n"), Just("\r\n")],
    ) {
        let delimiter = [",", "\t", ";", "|", " "][delimiter];
        let mut text = format!("{}{}{ending}", if is_comment { "# " } else { "" }, ["id", "u_mag", "z"].join(delimiter));
        for row in &rows {
            text += &(row.join(delimiter) + ending);
        }
        let catalogue = Catalogue::open(Bytes::from(text.clone()), &[]).unwrap();
        prop_assert_eq!(catalogue.names(), ["id", "u_mag", "z"], "{}", text);
        let read = catalogue.read(&[0, 1, 2]).unwrap();
        for (row, values) in rows.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                prop_assert_eq!(read[column].text(row), Some(value.clone()), "{}", text);
            }
        }
    }

    /// Any text gives an error or a table whose columns have one length, never a panic.
    #[test]
    fn never_panics_on_any_text(text in "[a-z0-9#,;|\t \"\n.\\-]{0,80}") {
        if let Ok(catalogue) = Catalogue::open(Bytes::from(text), &[]) {
            let places: Vec<usize> = (0..catalogue.names().len()).collect();
            drop(catalogue.read(&places));
        }
    }
}
