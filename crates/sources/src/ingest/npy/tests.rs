use proptest::prelude::*;

use super::*;

fn header(text: &str) -> Result<Header, HeaderError> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    Header::read(&mut &bytes[..])
}

fn scalar(header: &Header) -> Scalar {
    match &header.element {
        Element::Scalar(scalar) => scalar.clone(),
        Element::Record(record) => panic!("{record:?}"),
    }
}

fn of(descr: &str) -> Scalar {
    scalar(&header(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}\n")).unwrap())
}

#[test]
fn reads_headers_as_python_writes_them() {
    let found = header("{'descr': '>f8', 'fortran_order': True, 'shape': (15, 5), }      \n").unwrap();
    assert_eq!((scalar(&found).kind, scalar(&found).is_big_endian, found.is_fortran), (Kind::Float(8), true, true));
    assert_eq!((found.shape.as_slice(), found.data_bytes()), (&[15, 5][..], Some(600)));
    let other = header(r#"{"shape": (3L, ), "fortran_order": False, "descr": "|S7"}"#).unwrap();
    assert_eq!(
        (scalar(&other).kind, other.shape.as_slice(), other.python_shape()),
        (Kind::Bytes(7), &[3][..], "(3,)".to_owned())
    );
    assert_eq!(header("{'descr': '<U3', 'fortran_order': False, 'shape': ()}").unwrap().data_bytes(), Some(12));
    let huge = header("{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976, 5, 32, 32)}").unwrap();
    assert_eq!(huge.data_bytes(), None);
}

#[test]
fn rejects_unsupported_types_and_malformed_headers() {
    for (text, message) in [
        ("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "pickled programs and are not run"),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }", "`<c8`"),
        ("{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (3,), }", "`<M8[ns]`"),
        ("{'descr': '<f4', 'fortran_order': 1, 'shape': (3,), }", "expected descr, fortran_order and shape"),
        ("{'descr': '<f4', 'fortran_order': False}", "expected"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "expected"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", "expected"),
        ("{'descr': '<S999999999', 'fortran_order': False, 'shape': (1,)}", "`<S999999999`"),
        ("{'descr': 'é', 'fortran_order': False, 'shape': (1,)}", "type `"),
        ("", "expected"),
    ] {
        let error = header(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    assert!(Header::read(&mut &b"PK\x03\x04 and more"[..]).unwrap_err().to_string().contains("not a `.npy`"));
    assert!(Header::read(&mut &b"\x93NUMPY\x09\x00xx"[..]).unwrap_err().to_string().contains("version 9"));
    assert!(
        Header::read(&mut &b"\x93NUMPY\x02\x00\xff\xff\xff\xff"[..])
            .unwrap_err()
            .to_string()
            .contains("4294967295 bytes")
    );
    assert!(Header::read(&mut &b"\x93NUMPY\x01\x00\xff\x00{"[..]).unwrap_err().to_string().contains("truncated"));
}

#[test]
fn reads_numbers_of_any_width_and_byte_order() {
    let numbers = |descr: &str, bytes: &[u8]| {
        let mut values = Vec::new();
        let scalar = of(descr);
        let push = |element: &[u8]| {
            values.push(scalar.number(element));
            Ok(())
        };
        read_pieces(&mut &bytes[..], scalar.bytes(), 2, push).map(|()| values)
    };
    assert_eq!(numbers("<f2", &[0x00, 0x3c, 0x00, 0xc0]), Ok(vec![1.0, -2.0]));
    assert_eq!(numbers(">f4", &[1.5_f32.to_be_bytes(), (-0.25_f32).to_be_bytes()].concat()), Ok(vec![1.5, -0.25]));
    assert_eq!(numbers("<f8", &[0.1_f64.to_le_bytes(), 1e300_f64.to_le_bytes()].concat()), Ok(vec![0.1, 1e300]));
    assert_eq!(numbers("|i1", &[0xff, 2]), Ok(vec![-1.0, 2.0]));
    assert_eq!(numbers(">u2", &[1, 0, 0, 1]), Ok(vec![256.0, 1.0]));
    assert_eq!(numbers("<i8", &[(-3_i64).to_le_bytes(), 4_i64.to_le_bytes()].concat()), Ok(vec![-3.0, 4.0]));
    assert!(numbers("<f8", &[0; 15]).unwrap_err().contains("truncated"));
    assert_eq!(numbers("|b1", &[1, 0]), Ok(vec![1.0, 0.0]));
    assert!(of("<U1").is_text() && !of("<f4").is_text());
}

#[test]
fn reads_text_and_every_digit_of_whole_numbers() {
    let texts = |descr: &str, bytes: &[u8]| {
        let mut values = Vec::new();
        let scalar = of(descr);
        let push = |element: &[u8]| {
            values.push(scalar.text(element)?);
            Ok(())
        };
        read_pieces(&mut &bytes[..], scalar.bytes(), 2, push).map(|()| values)
    };
    assert_eq!(
        texts(">u8", &[u64::MAX.to_be_bytes(), 7_u64.to_be_bytes()].concat()).unwrap(),
        ["18446744073709551615", "7"]
    );
    assert_eq!(texts("|S3", b"a\0\0b\0c").unwrap(), ["a", "b\0c"]);
    let wide: Vec<u8> = ['é', '\0', 'z', 'z'].iter().flat_map(|&letter| (letter as u32).to_be_bytes()).collect();
    assert_eq!(texts(">U2", &wide).unwrap(), ["é", "zz"]);
    assert!(texts("<f8", &[0; 16]).unwrap_err().contains("does not hold every digit"));
    assert!(texts("<U1", &[0xff; 8]).unwrap_err().contains("Unicode"));
    assert!(texts("|S1", b"\xff\xff").unwrap_err().contains("UTF-8"));
}

proptest! {
    #[test]
    fn never_panics_on_any_header(text in ".{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        drop(header(&text));
        drop(header(&format!("{{'descr': '{text}', 'fortran_order': False, 'shape': (2,)}}")));
        drop(Header::read(&mut &bytes[..]));
    }
}
