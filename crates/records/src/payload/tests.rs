use proptest::prelude::*;
use serde_json::json;

use super::*;

fn study() -> Value {
    json!({
        "bucket": "cosmicai-data", "file_limit": "11", "batch_size": 256, "object_type": "folder",
        "S3_object_name": "Anomaly Detection", "script": "/tmp/Anomaly Detection/Inference/inference.py",
        "result_path": "result-partition-100MB/step4_1GB/", "data_bucket": "cosmicai-data", "data_prefix": "100MB"
    })
}

fn with(key: &str, value: Value) -> Result<Payload, PayloadError> {
    let mut payload = study();
    payload[key] = value;
    Payload::parse(payload.to_string().as_bytes())
}

fn error(key: &str, value: Value) -> String {
    with(key, value).unwrap_err().to_string()
}

#[test]
fn payload_of_the_cai_study_round_trips() {
    let payload = Payload::parse(study().to_string().as_bytes()).unwrap();
    assert_eq!((payload.file_limit, payload.batch_size), (11, 256));
    assert_eq!(payload.results_folder(), "result-partition-100MB/step4_1GB");
    assert_eq!(payload.result_path, "result-partition-100MB/step4_1GB/");
    assert_eq!(payload.order, Order::Lexicographic);
    assert_eq!(serde_json::to_string(&payload).unwrap(), study().to_string());
    let again: Payload = serde_json::from_value(study()).unwrap();
    assert_eq!(again, payload);
}

#[test]
fn reads_every_optional_key() {
    let mut json = study();
    for (key, value) in [
        ("world_size", json!("4")),
        ("model", json!("s3://models/a b.pt")),
        ("precision", json!("f32")),
        ("order", json!("natural")),
        ("memory_mb", json!(1024)),
        ("max_concurrency", json!("1000")),
        ("tolerated_failure_percentage", json!("2.5")),
        ("predictions", json!("none")),
    ] {
        json[key] = value;
    }
    json.as_object_mut().unwrap().remove("S3_object_name");
    let payload = Payload::parse(json.to_string().as_bytes()).unwrap();
    assert_eq!((payload.world_size, payload.order), (Some(4), Order::Natural));
    assert_eq!(payload.model.as_deref(), Some("s3://models/a b.pt"));
    assert_eq!((payload.memory_mb, payload.max_concurrency), (Some(1024), Some(1000)));
    assert_eq!(payload.tolerated_failure_percentage, Some(2.5));
    assert_eq!(payload.predictions, PredictionsFormat::None);
}

#[test]
fn unknown_key_suggests_the_similar_key() {
    assert_eq!(error("batchsize", json!(1)), "payload: unknown key `batchsize`; did you mean `batch_size`?");
    assert_eq!(
        error("s3_object_nam", json!("x")),
        "payload: unknown key `s3_object_nam`; did you mean `S3_object_name`?"
    );
    assert!(error("dynamodb_table", json!("x")).contains("expected one of bucket, file_limit"));
    assert!(error(&"é".repeat(2_000), json!(1)).len() < 600);
}

#[test]
fn missing_key_is_named() {
    for key in ["bucket", "file_limit", "batch_size", "result_path", "data_bucket", "data_prefix", "S3_object_name"] {
        let mut json = study();
        json.as_object_mut().unwrap().remove(key);
        let error = Payload::parse(json.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("payload: key `{key}` is missing; expected ")), "{error}");
    }
}

#[test]
fn wrong_value_is_shown_with_the_expected_one() {
    assert_eq!(
        error("file_limit", json!("eleven")),
        "payload: key `file_limit`: found \"eleven\", expected a whole number from 1 to 1000000, or one in quotes"
    );
    for (key, value) in [
        ("file_limit", json!(0)),
        ("file_limit", json!(-1)),
        ("file_limit", json!(1.5)),
        ("batch_size", json!(null)),
        ("batch_size", json!(1_u64 << 40)),
        ("batch_size", json!("1e3")),
        ("world_size", json!("0")),
        ("bucket", json!("a/b")),
        ("bucket", json!("..")),
        ("bucket", json!("")),
        ("bucket", json!(["a"])),
        ("data_prefix", json!("100MB//x")),
        ("data_prefix", json!("../x")),
        ("result_path", json!("/")),
        ("result_path", json!("")),
        ("result_path", json!("a/../../b")),
        ("result_path", json!(7)),
        ("order", json!("random")),
        ("order", json!(true)),
        ("precision", json!("f31")),
        ("predictions", json!("csv")),
        ("memory_mb", json!(64)),
        ("tolerated_failure_percentage", json!(101)),
        ("tolerated_failure_percentage", json!("NaN")),
        ("model", json!("")),
        ("script", json!({})),
    ] {
        let error = error(key, value);
        assert!(
            error.starts_with(&format!("payload: key `{key}`: found ")) && error.contains(", expected "),
            "{error}"
        );
    }
}

#[test]
fn with_precision_equals_submitting_that_precision() {
    let plain = Payload::parse(study().to_string().as_bytes()).unwrap();
    for precision in astromae::Precision::ALL {
        let changed = plain.clone().with_precision(precision);
        let submitted = with("precision", json!(precision.to_string())).unwrap();
        assert_eq!(changed.differences(&submitted), Vec::<String>::new());
        assert_eq!(changed.submitted()["precision"], json!(precision.to_string()));
        assert_eq!(changed.precision, precision);
    }
}

#[test]
fn rejects_bytes_that_are_not_a_payload() {
    let message = |bytes: &[u8]| Payload::parse(bytes).unwrap_err().to_string();
    assert!(message(b"").contains("not JSON"));
    assert!(message(b"{\"bucket\": \"a\",").contains("line 1"));
    assert!(message(b"[]").contains("found a list of 0 values"));
    assert!(message(&vec![b' '; MAX_PAYLOAD_BYTES as usize + 1]).contains("at most 4194304 expected"));
    assert!(message(&[b"[".repeat(100_000), b"]".repeat(100_000)].concat()).contains("not JSON"));
    assert_eq!(message(br#"{"bucket": "a", "bucket": "b"}"#), "payload: key `bucket` found twice; expected once");
}

#[test]
fn differences_compare_meanings() {
    let study = with("script", json!("x")).unwrap();
    let mut json = study.submitted().clone();
    json.insert("file_limit".into(), json!(11));
    json.insert("result_path".into(), json!("/result-partition-100MB/step4_1GB"));
    json.insert("order".into(), json!("lexicographic"));
    json.insert("data_prefix".into(), json!("100MB/"));
    let same = Payload::try_from(json.clone()).unwrap();
    assert_eq!(study.differences(&same), Vec::<String>::new());
    json.insert("batch_size".into(), json!(512));
    json.insert("data_prefix".into(), json!("50MB"));
    let other = Payload::try_from(json).unwrap();
    assert_eq!(study.differences(&other), ["`batch_size`: 256, not 512", "`data_prefix`: `100MB`, not `50MB`"]);
}

proptest! {
    /// Any bytes give a payload or a short error.
    #[test]
    fn any_bytes_give_a_payload_or_a_short_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = Payload::parse(&bytes) {
            prop_assert!(error.to_string().len() < 1_000);
        }
    }

    /// An error names the key; an accepted value serializes unchanged.
    #[test]
    fn any_value_is_rejected_by_key_or_round_trips(key in proptest::sample::select(&KEYS[..]), value in value()) {
        match with(key, value.clone()) {
            Ok(payload) => {
                let back = serde_json::to_value(&payload).unwrap();
                prop_assert_eq!(&back[key], &value);
                prop_assert_eq!(Payload::parse(back.to_string().as_bytes()).unwrap(), payload);
            }
            Err(error) => prop_assert!(error.to_string().contains(&format!("`{key}`")), "{}", error),
        }
    }

    #[test]
    fn quoted_numbers_equal_numbers(n in 0_usize..2_000_000) {
        let (plain, quoted) = (with("file_limit", json!(n)), with("file_limit", json!(n.to_string())));
        prop_assert_eq!(plain.ok().map(|p| p.file_limit), quoted.ok().map(|p| p.file_limit));
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u64..2_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9/. %é_-]{0,20}".prop_map(Value::from),
        proptest::collection::vec("[a-z]{1,3}", 0..3).prop_map(Value::from),
    ]
}
