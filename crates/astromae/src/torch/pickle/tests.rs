use proptest::prelude::*;

use super::*;

fn all(_: &str, _: &str) -> bool {
    true
}

fn none(_: &str, _: &str) -> bool {
    false
}

fn error(bytes: &[u8]) -> TorchError {
    Pickle::read(bytes, none).unwrap_err()
}

#[test]
fn reads_pickles_that_python_wrote() {
    // pickle.dumps({"a": (1, -2, 70000, 2**40), "b": [1.5, None, True], "c": {3}, "d": b"xy"}, protocol)
    let two = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01(K\x01J\xfe\xff\xff\xffJp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01tq\x02X\x01\x00\x00\x00bq\x03]q\x04(G?\xf8\x00\x00\x00\x00\x00\x00N\x88eu.";
    let four = b"\x80\x04\x95F\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94(K\x01J\xfe\xff\xff\xffJp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01t\x94\x8c\x01b\x94]\x94(G?\xf8\x00\x00\x00\x00\x00\x00N\x88e\x8c\x01c\x94\x8f\x94(K\x03\x90\x8c\x01d\x94C\x02xy\x94u.";
    for bytes in [&two[..], four] {
        let pickle = Pickle::read(bytes, none).unwrap();
        let tuple = pickle.tuple(pickle.get(pickle.root(), "a").unwrap()).unwrap();
        assert_eq!(tuple, [Value::Int(1), Value::Int(-2), Value::Int(70_000), Value::Int(1 << 40)]);
        let list = pickle.sequence(pickle.get(pickle.root(), "b").unwrap()).unwrap();
        assert_eq!(list, [Value::Float(1.5), Value::None, Value::Bool(true)]);
    }
    let pickle = Pickle::read(four, none).unwrap();
    assert_eq!(pickle.get(pickle.root(), "d"), Some(Value::Bytes(b"xy")));
    assert_eq!(pickle.describe(pickle.get(pickle.root(), "c").unwrap()), "a set");
}

#[test]
fn calls_are_recorded_and_not_made() {
    let bytes = b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.";
    assert_eq!(error(bytes), TorchError::Refused("os.system".to_owned()));
    let pickle = Pickle::read(bytes, all).unwrap();
    let call = pickle.call(pickle.root()).unwrap();
    assert!(call.is("os", "system"));
    assert_eq!(pickle.tuple(call.arguments), Some(&[Value::Str("ls")][..]));
}

#[test]
fn rejected_names_are_printable() {
    let TorchError::Refused(name) = error(b"c\x1b[31m\nx\n.") else { panic!("not rejected") };
    assert!(!name.contains('\x1b'), "{name:?}");
}

#[test]
fn rejects_malformed_pickles() {
    for (program, word) in [
        (&b""[..], "truncated"),
        (b"N", "truncated"),
        (b".", "stack is empty"),
        (b"0.", "stack is empty"),
        (b"N(0.", "stack is empty"),
        (b"t.", "no mark"),
        (b"N(\x85.", "stack is empty"),
        (b"h\x00.", "memo 0"),
        (b"NN.", "left over"),
        (b"N.N", "before its end"),
        (b"(N.", "left over"),
        (b"NNa.", "plain value"),
        (b")Na.", "not a list"),
        (b"](NNu.", "not a dict"),
        (b"}(Nu.", "has no value"),
        (b"])R.", "not a class"),
        (b"NNb.", "plain value"),
        (b"]Nb.", "not an object"),
        (b"X\xff\xff\xff\xffabc", "truncated"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", "truncated"),
        (b"X\x01\x00\x00\x00\xff.", "not UTF-8"),
        (b"cos", "truncated"),
        (b"NN\x93.", "not a string"),
    ] {
        let error = error(program);
        assert!(matches!(error, TorchError::Malformed(_)), "{program:?}: {error}");
        assert!(error.to_string().contains(word), "{program:?}: {error}");
    }
}

#[test]
fn rejects_operations_that_pytorch_does_not_write() {
    // INST, OBJ, PERSID, EXT1, an out-of-band buffer, protocol 1 and 6.
    for program in [&b"(ios\nsystem\n."[..], b"(o.", b"Pid\n.", b"\x82\x01.", b"\x97.", b"\x80\x01N.", b"\x80\x06N."] {
        assert!(matches!(error(program), TorchError::Unsupported(_)), "{program:?}");
    }
}

#[test]
fn reads_integers_of_any_length() {
    let read = |program: &[u8]| Pickle::read(program, none).map(|pickle| format!("{:?}", pickle.root()));
    for (program, expected) in [
        (&b"\x8a\x00."[..], "Int(0)"),
        (b"\x8a\x01\xff.", "Int(-1)"),
        (b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\0.", "Int(9223372036854775807)"),
        (b"\x8a\x09\0\0\0\0\0\0\0\x80\xff.", "Int(-9223372036854775808)"),
        (b"\x8b\x02\0\0\0\x39\x05.", "Int(1337)"),
        (b"\x8a\x09\0\0\0\0\0\0\0\0\x01.", "BigInt([0, 0, 0, 0, 0, 0, 0, 0, 1])"),
        // 2⁶³, −2⁶³ − 1 and −2⁶⁴: the sign is that of the last byte.
        (b"\x8a\x09\0\0\0\0\0\0\0\x80\0.", "BigInt([0, 0, 0, 0, 0, 0, 0, 128, 0])"),
        (b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\xff.", "BigInt([255, 255, 255, 255, 255, 255, 255, 127, 255])"),
        (b"\x8b\x09\0\0\0\0\0\0\0\0\0\0\0\xff.", "BigInt([0, 0, 0, 0, 0, 0, 0, 0, 255])"),
    ] {
        assert_eq!(read(program).unwrap(), expected, "{program:?}");
    }
    // LONG4 that claims 4 GB.
    assert!(error(b"\x8b\xff\xff\xff\xff\x01.").to_string().contains("truncated"));
}

#[test]
fn reads_objects_with_keywords_and_items() {
    // NEWOBJ_EX, then BUILD; items that are appended or added to an object; a tuple that contains itself.
    assert!(error(b"cm\nC\n)}\x92.").to_string().contains("m.C"));
    for program in
        [&b"cm\nC\n)}\x92Nb."[..], b"cm\nC\n)\x81(K\x01K\x02e.", b"cm\nC\n)\x81(K\x01\x90.", b"cm\nC\n)\x81Na."]
    {
        let pickle = Pickle::read(program, all).unwrap();
        assert!(pickle.call(pickle.root()).unwrap().is("m", "C"), "{program:?}");
    }
    assert_eq!(Pickle::read(b"N(K\x01K\x021.", none).unwrap().root(), Value::None);
    assert!(error(b"N1.").to_string().contains("no mark"));
    assert_eq!(Pickle::read(b"\x96\x02\0\0\0\0\0\0\0xy.", none).unwrap().root(), Value::Bytes(b"xy"));
}

#[test]
fn rejects_names_of_any_length_without_copying_them() {
    let program = [b"c", &b"m".repeat(1 << 20)[..], b"\nn\n."].concat();
    let TorchError::Refused(name) = Pickle::read(&program, all).unwrap_err() else { panic!("not rejected") };
    assert_eq!(name.len(), 200);
}

#[test]
fn deep_and_shared_values_need_little_memory() {
    // Half a million nested tuples.
    let depth = 500_000;
    let mut nested = vec![b')'];
    nested.extend(std::iter::repeat_n(0x85, depth));
    nested.push(b'.');
    let pickle = Pickle::read(&nested, none).unwrap();
    assert_eq!(pickle.nodes.len(), depth + 1);
    drop(pickle);

    // Each list contains the previous list ten times: 10¹⁰⁰⁰⁰ values in 10,001 nodes.
    let mut shared = b"]q\x00".to_vec();
    for _ in 0..10_000 {
        shared.extend(b"0](");
        shared.extend(b"h\x00".repeat(10));
        shared.extend(b"eq\x00");
    }
    shared.push(b'.');
    assert_eq!(Pickle::read(&shared, none).unwrap().nodes.len(), 10_001);

    let endless = b"N0".repeat(MAX_OPERATIONS);
    assert!(error(&endless).to_string().contains("operations"));
    let long = vec![0; MAX_PICKLE_BYTES as usize + 1];
    assert!(error(&long).to_string().contains("bytes; at most"));
}

/// Valid operations. Random programs of them get further than random bytes.
const OPERATIONS: &[&[u8]] = &[
    b"N",
    b"K\x05",
    b"(",
    b"t",
    b")",
    b"\x85",
    b"\x86",
    b"\x87",
    b"]",
    b"a",
    b"e",
    b"}",
    b"s",
    b"u",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"q\x01",
    b"h\x01",
    b"\x94",
    b"h\x00",
    b"cm\nn\n",
    b"R",
    b"\x81",
    b"b",
    b"Q",
    b"0",
    b"X\x01\x00\x00\x00a",
    b"\x93",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn any_bytes_are_read_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Pickle::read(&bytes, all);
    }

    #[test]
    fn any_program_is_read_or_rejected(
        operations in prop::collection::vec(prop::sample::select(OPERATIONS), 0..200),
    ) {
        let mut program = operations.concat();
        program.push(b'.');
        if let Ok(pickle) = Pickle::read(&program, all) {
            prop_assert!(pickle.nodes.len() <= operations.len());
            let _ = pickle.describe(pickle.root());
        }
    }
}
