use proptest::prelude::*;

use super::*;

fn predicted(rows: usize, known: bool) -> Predicted {
    Predicted {
        z_phot: (0..rows).map(|row| if row == 3 { f32::NAN } else { row as f32 * 0.1 }).collect(),
        z_spec: known.then(|| (0..rows).map(|row| row as f64 * 0.11).collect()),
        magnitudes: (0..rows * 5).map(|value| value as f64).collect(),
        flags: (0..rows).map(|row| if row == 3 { 4 } else { 0 }).collect(),
        ..Predicted::default()
    }
}

fn written(format: Format) -> Bytes {
    let mut writer = Writer::new(format, 5).unwrap();
    writer.append("100MB/1.pt", &predicted(5, true)).unwrap();
    writer.append("100MB/a, \"b\".pt", &predicted(2, false)).unwrap();
    writer.finish().unwrap()
}

#[test]
fn reads_both_formats_back_and_writes_the_same_bytes_again() {
    for format in [Format::Parquet, Format::Csv] {
        let table = Table::read(written(format), "p").unwrap();
        assert_eq!(table.len(), 7);
        assert_eq!(table.row, [0, 1, 2, 3, 4, 0, 1]);
        assert_eq!(table.data_path[4..], ["100MB/1.pt", "100MB/a, \"b\".pt", "100MB/a, \"b\".pt"]);
        assert_eq!(table.z_phot[1].to_bits(), 0.1_f32.to_bits());
        assert!(table.z_phot[3].is_nan());
        assert_eq!(table.z_spec[2..], [Some(0.22), Some(0.33), Some(0.44), None, None]);
        assert_eq!(table.flags, [0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(written(format), written(format), "{format:?}");
    }
}

#[test]
fn csv_has_the_documented_columns_and_quotes_commas() {
    let text = String::from_utf8(written(Format::Csv).to_vec()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "data_path,row,z_phot,z_spec,flags");
    assert_eq!(lines[2], "100MB/1.pt,1,0.1,0.11,0");
    assert_eq!(lines[4], "100MB/1.pt,3,NaN,0.33,4");
    assert_eq!(lines[6], "\"100MB/a, \"\"b\"\".pt\",0,0,,0");
}

#[test]
fn writes_columns_of_objects_only_if_they_are_known() {
    use crate::objects::Objects;
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    let known = || {
        let ids = vec![Some("a,b".to_owned()), None];
        Predicted {
            objects: Some(Objects::new(ids, vec![Some(1.5), None], vec![Some(-2.0), None]).unwrap()),
            z_spec: Some(vec![0.25, f64::NAN]),
            ..predicted(2, false)
        }
    };
    let mixed = |format| {
        let mut writer = Writer::with_objects(format, 5).unwrap();
        writer.append("1.pt", &known()).unwrap();
        writer.append("2.pt", &predicted(1, false)).unwrap();
        writer.finish().unwrap()
    };
    let text = String::from_utf8(mixed(Format::Csv).to_vec()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "data_path,row,z_phot,z_spec,flags,object_id,ra,dec");
    assert_eq!(lines[1], "1.pt,0,0,0.25,0,\"a,b\",1.5,-2");
    assert_eq!(lines[2..], ["1.pt,1,0.1,,0,,,", "2.pt,0,0,,0,,,"]);
    let reader = SerializedFileReader::new(mixed(Format::Parquet)).unwrap();
    let names: Vec<String> =
        reader.metadata().file_metadata().schema_descr().columns().iter().map(|c| c.name().to_owned()).collect();
    assert_eq!(names[9..], ["flags", "object_id", "ra", "dec"]);
    for format in [Format::Parquet, Format::Csv] {
        let table = Table::read(mixed(format), "p").unwrap();
        // NaN in a partition marks an unknown redshift.
        assert_eq!(table.z_spec, [Some(0.25), None, None]);
        assert_eq!(table.row, [0, 1, 0]);
        assert_eq!(mixed(format), mixed(format), "{format:?}");
    }
}

#[test]
fn parquet_has_the_documented_columns_and_small_row_groups() {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    let rows = 300_000;
    let mut writer = Writer::new(Format::Parquet, 5).unwrap();
    writer.append("x.pt", &predicted(rows, true)).unwrap();
    let reader = SerializedFileReader::new(writer.finish().unwrap()).unwrap();
    let names: Vec<&str> =
        reader.metadata().file_metadata().schema_descr().columns().iter().map(|c| c.name()).collect();
    assert_eq!(names, ["data_path", "row", "z_phot", "z_spec", "u", "g", "r", "i", "z", "flags"]);
    assert_eq!(reader.num_row_groups(), 3);
    assert_eq!(reader.metadata().file_metadata().num_rows(), rows as i64);
}

#[test]
fn rejects_malformed_files() {
    let refused = |bytes: &[u8]| Table::read(Bytes::copy_from_slice(bytes), "x").unwrap_err().to_string();
    let parquet = written(Format::Parquet);
    assert!(refused(&parquet[..parquet.len() / 2]).starts_with("predictions `x`: "));
    assert!(refused(b"").contains("expected Parquet, or CSV with the columns"));
    assert!(refused(b"data_path,row\na,1\n").contains("found `data_path,row`"));
    let header = "data_path,row,z_phot,z_spec,flags\n";
    assert!(
        refused(format!("{header}a,0,0.1,,0\na,one,0.1,,0\n").as_bytes())
            .contains("line 3, column `row`: expected a number, found `one`")
    );
    assert!(refused(format!("{header}a,0,0.1\n").as_bytes()).contains("3 fields"));
    assert!(refused(format!("{header}a,0,0.1,,256\n").as_bytes()).contains("column `flags`"));
    assert!(Table::read(Bytes::from(header), "x").unwrap().is_empty());
}

/// Writes columns as pandas or polars do, with the Arrow schema in the metadata.
fn other_parquet(columns: Vec<(&str, arrow_array::ArrayRef)>) -> Bytes {
    let columns = columns.into_iter().map(|(name, values)| (name, values, true));
    let batch = arrow_array::RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap().into()
}

#[test]
fn reads_predictions_that_pandas_and_polars_wrote_again() {
    use std::sync::Arc;

    use arrow_array::types::Int8Type;
    use arrow_array::{
        ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, LargeStringArray, NullArray, StringViewArray,
    };
    let dictionary: DictionaryArray<Int8Type> = vec!["1.pt", "2.pt"].into_iter().collect();
    let names: [ArrayRef; 3] = [
        Arc::new(LargeStringArray::from(vec!["1.pt", "2.pt"])),
        Arc::new(StringViewArray::from(vec!["1.pt", "2.pt"])),
        Arc::new(dictionary),
    ];
    let with = |data_path: ArrayRef, flags: ArrayRef, z_spec: ArrayRef| {
        other_parquet(vec![
            ("class", Arc::new(Int32Array::from(vec![1, 2]))),
            ("flags", flags),
            ("z_spec", z_spec),
            ("z_phot", Arc::new(Float64Array::from(vec![0.5, 0.25]))),
            ("row", Arc::new(Int32Array::from(vec![3, 4]))),
            ("data_path", data_path),
        ])
    };
    let flags: ArrayRef = Arc::new(Int64Array::from(vec![0, 4]));
    let z_spec: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.125), None]));
    for data_path in names.clone() {
        let table = Table::read(with(data_path, flags.clone(), z_spec.clone()), "p").unwrap();
        assert_eq!((table.data_path, table.row), (vec!["1.pt".to_owned(), "2.pt".to_owned()], vec![3, 4]));
        assert_eq!((table.z_phot, table.flags), (vec![0.5, 0.25], vec![0, 4]));
        assert_eq!(table.z_spec, [Some(0.125), None]);
    }
    let unknown = with(names[0].clone(), Arc::new(Float64Array::from(vec![0.0, 4.0])), Arc::new(NullArray::new(2)));
    assert_eq!(Table::read(unknown, "p").unwrap().z_spec, [None, None]);
    for (flags, message) in [
        (
            Arc::new(Float64Array::from(vec![0.5, 4.0])) as ArrayRef,
            "column `flags`: expected a whole number, found 0.5",
        ),
        (Arc::new(Int64Array::from(vec![0, 256])), "column `flags`: 256 is not allowed here"),
        (Arc::new(LargeStringArray::from(vec!["a", "b"])), "column `flags`: expected whole numbers, found type Utf8"),
        (Arc::new(Int64Array::from(vec![None, Some(1)])), "column `flags`: has an empty value"),
    ] {
        let error = Table::read(with(names[0].clone(), flags, z_spec.clone()), "p").unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let lacking = other_parquet(vec![("row", Arc::new(Int32Array::from(vec![1])))]);
    assert!(Table::read(lacking, "p").unwrap_err().to_string().contains("no column `data_path`"));
}

#[test]
fn reads_csv_columns_by_name() {
    let read = |text: &'static str| Table::read(Bytes::from(text), "p").map_err(|error| error.to_string());
    let table = read("class,flags,z_spec,z_phot,row,data_path\n7,4,,0.5,3,\"a,b\"\n").unwrap();
    assert_eq!((table.data_path[0].as_str(), table.row[0], table.flags[0]), ("a,b", 3, 4));
    assert_eq!((table.z_phot[0], table.z_spec[0]), (0.5, None));
    let twice = read("data_path,row,z_phot,z_spec,flags,row\na,0,0.1,,0,1\n").unwrap_err();
    assert!(twice.contains("more than one column `row`"), "{twice}");
}

#[test]
fn redshifts_that_no_galaxy_has_are_null() {
    let z_spec = vec![-9999.0, -1.0, 99.0, 0.125, f64::NAN];
    let sentinels = Predicted { z_spec: Some(z_spec), ..predicted(5, false) };
    for format in [Format::Parquet, Format::Csv] {
        let mut writer = Writer::new(format, 5).unwrap();
        writer.append("1.pt", &sentinels).unwrap();
        let table = Table::read(writer.finish().unwrap(), "p").unwrap();
        assert_eq!(table.z_spec, [None, None, None, Some(0.125), None]);
    }
}

#[test]
fn format_follows_the_ending_of_the_name() {
    assert_eq!(Format::of("s3://b/p.PARQUET"), Some(Format::Parquet));
    assert_eq!(Format::of("./p.csv"), Some(Format::Csv));
    assert_eq!(Format::of("p.txt"), None);
    assert_eq!(Format::of("csv"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Damage anywhere in the file gives an error or rows, never a panic.
    #[test]
    fn never_panics_on_damaged_files(
        is_csv in any::<bool>(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let format = if is_csv { Format::Csv } else { Format::Parquet };
        let mut bytes = written(format).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Err(error) = Table::read(Bytes::from(bytes), "x") {
            prop_assert!(error.to_string().starts_with("predictions `x`: "), "{}", error);
        }
    }
}
