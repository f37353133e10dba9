use proptest::prelude::*;

use super::super::scalar::Kind;
use super::*;

fn parsed(descr: &str) -> Result<Element, HeaderError> {
    Element::parse(&Literal::parse(descr).expect(descr))
}

fn record(descr: &str) -> Record {
    match parsed(descr).unwrap() {
        Element::Record(record) => record,
        Element::Scalar(scalar) => panic!("{scalar:?}"),
    }
}

/// Names, offsets and lengths of the fields, and the size of the record.
fn layout(descr: &str) -> (Vec<(String, usize, usize)>, usize) {
    let Record { bytes, fields } = record(descr);
    (fields.into_iter().map(|field| (field.name, field.offset, field.length)).collect(), bytes)
}

fn fields(expected: &[(&str, usize, usize)]) -> Vec<(String, usize, usize)> {
    expected.iter().map(|&(name, offset, length)| (name.to_owned(), offset, length)).collect()
}

#[test]
fn fields_have_the_offsets_of_numpy() {
    // numpy.dtype([('z', '<f4'), ('id', '>u8'), ('mag', '<f8', (5,)), ('name', 'S3'), ('ok', '?')]).descr
    let packed = "[('z', '<f4'), ('id', '>u8'), ('mag', '<f8', (5,)), ('name', '|S3'), ('ok', '|b1')]";
    let expected = [("z", 0, 1), ("id", 4, 1), ("mag", 12, 5), ("name", 52, 1), ("ok", 55, 1)];
    assert_eq!(layout(packed), (fields(&expected), 56));
    let Ok(id) = &record(packed).fields[1].scalar else { panic!("not read") };
    assert_eq!((id.kind, id.is_big_endian), (Kind::Unsigned(8), true));
    // numpy.dtype([('a', 'i1'), ('b', 'f8')], align=True).descr
    let aligned = "[('a', '|i1'), ('', '|V7'), ('b', '<f8'), ('', '|V4')]";
    assert_eq!(layout(aligned), (fields(&[("a", 0, 1), ("b", 8, 1)]), 20));
    let stated = "{'names': ['a', 'b'], 'formats': ['<f4', ('<f8', (2, 3))], 'offsets': [8, 12], 'itemsize': 64}";
    assert_eq!(layout(stated), (fields(&[("a", 8, 1), ("b", 12, 6)]), 64));
    let nested = "[('pos', [('ra', '<f8'), ('dec', '<f8')]), (('title', 'z'), '<f4'), ('w', ('<f4', (2,)))]";
    assert_eq!(layout(nested), (fields(&[("pos.ra", 0, 1), ("pos.dec", 8, 1), ("z", 16, 1), ("w", 20, 2)]), 28));
}

#[test]
fn a_field_of_another_type_is_an_error_only_where_it_is_used() {
    let found = record(
        "[('c', '<c8'), ('t', '<M8[ns]'), ('l', '<f16'), ('s', '|S9000'), ('p', [('x', '<f4')], (3,)), ('z', '<f4')]",
    );
    assert!(found.fields[..5].iter().all(|field| field.scalar.is_err()));
    assert_eq!(
        (found.fields[5].offset, found.fields[5].scalar.is_ok(), found.bytes),
        (8 + 8 + 16 + 9000 + 12, true, 9048)
    );
}

#[test]
fn rejects_records_that_numpy_does_not_write() {
    assert_eq!(parsed("[('a', '<f4'), ('b', '|O')]"), Err(HeaderError::Pickled));
    for (descr, message) in [
        ("[('a', '<f4'), ('a', '<f8')]", "two fields `a`"),
        ("[('a', '<q8')]", "`<q8`"),
        ("[('a', '<f4', (4611686018427387904,))]", "more than 1048576 bytes"),
        ("[('a', '<f4', (4294967296, 4294967296))]", "more than 1048576 bytes"),
        ("[('a', '|S0', (4611686018427387904,))]", "more than 1048576 bytes"),
        ("[('a', '|V99999999999')]", "`|V99999999999`"),
        ("[('a',)]", "malformed"),
        ("['a']", "malformed"),
        ("[(3, '<f4')]", "malformed"),
        ("5", "malformed"),
        ("('<f4', (5,))", "arrays themselves"),
        ("{'names': ['a'], 'formats': ['<f8'], 'offsets': [0], 'itemsize': 4}", "malformed"),
        ("{'names': ['a'], 'formats': ['<f8'], 'offsets': [18446744073709551615]}", "more than 1048576 bytes"),
        ("{'names': ['a'], 'formats': ['<f8']}", "malformed"),
    ] {
        let error = parsed(descr).unwrap_err().to_string();
        assert!(error.contains(message), "{descr}: {error}");
    }
    let deep = format!("{}'<f4'{}", "[('a', ".repeat(9), ")]".repeat(9));
    assert!(parsed(&deep).unwrap_err().to_string().contains("too many levels"));
}

proptest! {
    /// Every field of a record that is accepted lies within it.
    #[test]
    fn fields_lie_within_their_record(
        parts in prop::collection::vec(("[a-c]{1,2}", "[<>|][fiubSUcVM][0-9]{1,2}", prop::option::of(0_usize..9)), 0..6),
    ) {
        let fields: Vec<String> = parts
            .iter()
            .map(|(name, kind, length)| match length {
                Some(length) => format!("('{name}', '{kind}', ({length},))"),
                None => format!("('{name}', '{kind}')"),
            })
            .collect();
        if let Ok(Element::Record(record)) = parsed(&format!("[{}]", fields.join(", "))) {
            for field in record.fields {
                if let Ok(scalar) = field.scalar {
                    prop_assert!(field.offset + field.length * scalar.bytes() <= record.bytes);
                }
            }
        }
    }

    #[test]
    fn stated_offsets_never_leave_the_record(offset in any::<usize>(), size in any::<usize>()) {
        let descr = format!("{{'names': ['a'], 'formats': ['<f8'], 'offsets': [{offset}], 'itemsize': {size}}}");
        if let Ok(Element::Record(record)) = parsed(&descr) {
            prop_assert!(record.fields[0].offset + 8 <= record.bytes);
        }
    }
}
