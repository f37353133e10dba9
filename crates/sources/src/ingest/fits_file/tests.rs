use proptest::prelude::*;

use super::*;

fn header(cards: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (keyword, value) in cards {
        bytes.extend(format!("{keyword:<8}= {value:>20}{:50}", "").into_bytes());
    }
    bytes.extend(format!("{:<80}", "END").into_bytes());
    bytes.resize(bytes.len().next_multiple_of(BLOCK_SIZE), b' ');
    bytes
}

fn table(cards: &[(&str, &str)]) -> Vec<u8> {
    let primary = header(&[("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "0")]);
    [primary, header(cards), vec![0; BLOCK_SIZE]].concat()
}

/// Cards of a table of one column. The named cards replace those of the same name.
fn table_with<'a>(changed: &[(&'a str, &'a str)]) -> Vec<u8> {
    let mut cards = vec![
        ("XTENSION", "'BINTABLE'"),
        ("BITPIX", "8"),
        ("NAXIS", "2"),
        ("NAXIS1", "8"),
        ("NAXIS2", "1"),
        ("PCOUNT", "0"),
        ("GCOUNT", "1"),
        ("TFIELDS", "1"),
        ("TTYPE1", "'u       '"),
        ("TFORM1", "'D       '"),
    ];
    for &(keyword, value) in changed {
        match cards.iter_mut().find(|(found, _)| *found == keyword) {
            Some(card) => card.1 = value,
            None => cards.push((keyword, value)),
        }
    }
    table(&cards)
}

#[test]
fn rejects_counts_outside_the_standard_and_the_file() {
    assert_eq!(parse(&table_with(&[])).unwrap().len(), 2);
    for (keyword, value, message) in [
        ("NAXIS", "10000000000", "NAXIS = 10000000000"),
        ("NAXIS", "-1", "NAXIS = -1"),
        ("NAXIS", "'2'", "no whole number for NAXIS"),
        ("NAXIS1", "-8", "NAXIS1 = -8"),
        ("NAXIS1", "9223372036854775807", "states 9223372036854775807"),
        ("NAXIS2", "4611686018427387904", "overflow"),
        ("TFIELDS", "-1", "TFIELDS = -1"),
        ("TFIELDS", "1000", "TFIELDS = 1000"),
        ("PCOUNT", "-1", "PCOUNT = -1"),
        ("PCOUNT", "100000", "truncated"),
        ("BITPIX", "7", "BITPIX = 7"),
        ("GCOUNT", "1000000", "truncated"),
    ] {
        let error = parse(&table_with(&[(keyword, value)])).unwrap_err();
        let is_named =
            error.contains(message) || (value.len() > 18 && error.contains("more data than a file can have"));
        assert!(is_named, "{keyword} = {value}: {error}");
    }
    let endless = header(&[("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "10000000000")]);
    assert!(parse(&endless).unwrap_err().contains("NAXIS = 10000000000"));
}

#[test]
fn rejects_false_descriptions_of_compressed_images() {
    let image = |changed: &[(&'static str, &'static str)]| {
        let mut cards = vec![
            ("ZIMAGE", "T"),
            ("ZBITPIX", "16"),
            ("ZNAXIS", "2"),
            ("ZNAXIS1", "4"),
            ("ZNAXIS2", "4"),
            ("ZCMPTYPE", "'RICE_1  '"),
            ("ZNAME1", "'BLOCKSIZE'"),
            ("ZVAL1", "32"),
            ("ZNAME2", "'BYTEPIX '"),
            ("ZVAL2", "2"),
        ];
        cards.retain(|(keyword, _)| changed.iter().all(|(other, _)| other != keyword));
        cards.extend(changed);
        parse(&table_with(&cards)).map(|hdus| hdus.len())
    };
    assert_eq!(image(&[]), Ok(2));
    // A parameter of quantized floats, as astropy writes it.
    assert_eq!(image(&[("ZNAME3", "'NOISEBIT'"), ("ZVAL3", "16.0")]), Ok(2));
    for (card, message) in [
        (("ZVAL1", "-1"), "ZVAL1 = -1 (BLOCKSIZE)"),
        (("ZVAL1", "2147483647"), "ZVAL1 = 2147483647"),
        (("ZVAL1", "0"), "ZVAL1 = 0"),
        (("ZVAL2", "3"), "ZVAL2 = 3 (BYTEPIX)"),
        (("ZNAXIS", "-1"), "ZNAXIS = -1"),
        (("ZNAXIS1", "4000000000"), "more than the limit"),
        (("ZTILE1", "0"), "ZTILE1 = 0"),
        (("ZTILE2", "5"), "ZTILE2 = 5"),
    ] {
        let error = image(&[card]).unwrap_err();
        assert!(error.contains(message), "{card:?}: {error}");
    }
}

#[test]
fn compares_data_with_their_checksums() {
    let checked = |sum: &str, data: u8| {
        let cards = [("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "1"), ("NAXIS1", "4"), ("DATASUM", sum)];
        let mut bytes = header(&cards);
        bytes.extend([0, 0, 1, data]);
        let hdus = parse(&bytes).unwrap();
        verify(&bytes, &hdus)
    };
    assert_eq!(checked("'258     '", 2), Ok(()));
    assert_eq!(checked("''", 3), Ok(()));
    for (sum, data) in [("'258     '", 3), ("'2x      '", 2)] {
        assert!(checked(sum, data).unwrap_err().contains("DATASUM differs"));
    }
    // Ones' complement: a carry is added at the end.
    assert_eq!(sum(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2]), 2);
    assert_eq!(add(u32::MAX, 2), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// No number in a header makes the check panic, or accept data outside the file.
    #[test]
    fn any_numbers_give_an_error_or_parts_inside_the_file(
        numbers in proptest::collection::vec(prop_oneof![any::<i64>(), -2_i64..1100], 8),
        changed in proptest::collection::vec(0..8_usize, 0..3),
    ) {
        let names = ["BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS", "ZNAXIS"];
        let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let cards: Vec<(&str, &str)> = changed.iter().map(|&at| (names[at], texts[at].as_str())).collect();
        let bytes = table_with(&cards);
        if let Ok(hdus) = parse(&bytes) {
            for hdu in &hdus {
                prop_assert!(hdu.data_start + hdu.data_len <= bytes.len());
            }
            prop_assert!(verify(&bytes, &hdus).is_ok());
        }
    }
}
