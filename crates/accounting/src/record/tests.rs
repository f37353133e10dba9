use proptest::prelude::*;

use super::*;

#[test]
fn reads_non_finite_numbers_of_python_as_missing() {
    let json =
        br#"[{"total_cpu_time (seconds)": NaN, "throughput_bps": -Infinity, "data_path": "a\\\"NaN/25MB/1.pt"}]"#;
    let records = parse(json).unwrap();
    assert_eq!((records[0].seconds, records[0].throughput_bps), (None, None));
    assert_eq!(records[0].nulls, ["total_cpu_time (seconds)", "throughput_bps"]);
    assert_eq!(records[0].files(), ["a\\\"NaN/25MB/1.pt"]);
    assert_eq!(records[0].partition_mb(), Some(25.0));
}

#[test]
fn partition_size_comes_from_folder_name_or_data() {
    let record = |path: &str, samples: f64| Record {
        seconds: Some(2.0),
        throughput_bps: Some(samples * 20_520.0 * 8.0 / 2.0),
        data_path: path.into(),
        ..Record::default()
    };
    assert_eq!(record("10MB/1.pt", 511.0).partition_mb(), Some(10.0));
    assert_eq!(record("sky/25MB/part/1.pt", 3.0).partition_mb(), Some(25.0));
    for (samples, mb) in [(511.0, 10.0), (1_278.0, 25.0), (2_556.0, 50.0), (3_834.0, 75.0), (5_113.0, 100.0)] {
        assert_eq!(record("parts/1.pt", samples).partition_mb(), Some(mb));
    }
    assert_eq!(record("MB/1.pt", 0.0).partition_mb(), None);
}

#[test]
fn errors_name_the_record() {
    let message = |json: &[u8]| parse(json).unwrap_err().to_string();
    assert!(message(b"[1]").contains("record 0 of 1"));
    assert!(message(br#"[{"batch_size": 1}]"#).contains("none of the CAI study's keys"));
    assert!(message(br#"[{"data_path": "a"}, {"data_path": "b", "throughput_bps": "3"}]"#).contains("record 1 of 2"));
    assert!(message(b"[{").contains("line 1"));
    assert!(message(b"7").contains("neither"));
    assert_eq!(parse(b"[]").unwrap(), []);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_rejected(json in r#"[\[{"a-z:,NI}\]\\ 0-9.]{0,60}"#) {
        let _ = parse(json.as_bytes());
    }
}
