use serde_json::json;

use super::*;
use crate::plan::{FileIdentity, ModelIdentity};

fn payload(changes: Value) -> Value {
    let mut payload = json!({
        "bucket": "b", "file_limit": "1000000", "batch_size": 256, "object_type": "folder",
        "S3_object_name": "Anomaly Detection", "script": "/tmp/Anomaly Detection/Inference/inference.py",
        "result_path": "result-partition-100MB/step4_1GB/", "data_bucket": "d", "data_prefix": "100MB"
    });
    payload.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    payload
}

/// Makes a plan of `files` files. Its tasks have the same number of files each, except the last ones.
fn planned(files: usize, key_bytes: usize, changes: Value) -> Plan {
    let payload = ExecutionInput::parse(&payload(changes)).unwrap().payload;
    let file = |file: usize| FileIdentity {
        key: format!("100MB/{file:0>width$}.pt", width = key_bytes - "100MB/.pt".len()),
        bytes: 104_926_220,
        e_tag: Some("\"0123456789abcdef0123456789abcdef-13\"".to_owned()),
        modified: None,
        objects: None,
    };
    let tasks = payload.world_size.unwrap_or(files.min(MAX_TASKS));
    let share = files.div_ceil(tasks);
    let tasks = (0..tasks)
        .map(|rank| Task { rank, files: (rank * share..files.min((rank + 1) * share)).map(file).collect() })
        .collect();
    Plan {
        format_version: PLAN_FORMAT,
        run_id: "x".repeat(80),
        created: "now".into(),
        created_by: "the tests".into(),
        payload,
        model: ModelIdentity { url: "s3://b/m.pt".into(), sha256: "0".repeat(64), bytes: 64_000_000 },
        tasks,
    }
}

fn items_key() -> String {
    "result-partition-100MB/step4_1GB/items.json".to_owned()
}

#[test]
fn list_of_tasks_round_trips() {
    let plan = planned(3, 60, json!({}));
    let list: Vec<Task> = serde_json::from_slice(&items(&plan, &plan.tasks[1..]).unwrap()).unwrap();
    assert_eq!(list, plan.tasks[1..]);
    assert_eq!(items(&plan, []).unwrap(), b"[]");
}

#[test]
fn rejects_a_task_that_is_too_large_to_send() {
    let plan = planned(3_000, 60, json!({"world_size": 1}));
    let error = items(&plan, &plan.tasks).unwrap_err().to_string();
    assert!(error.starts_with("task 0: its 3000 files take "), "{error}");
    assert!(error.contains("262144") && error.contains("`world_size`"), "{error}");
}

#[test]
fn parses_an_input_with_and_without_options() {
    let plain = ExecutionInput::parse(&payload(json!({}))).unwrap();
    assert_eq!((plain.if_taken, plain.model.as_deref()), (IfTaken::Refuse, None));
    let input = json!({"payload": payload(json!({})), "if_taken": "resume", "model": "s3://m/x.pt"});
    let start = ExecutionInput::parse(&input).unwrap();
    assert_eq!((start.if_taken, start.model.as_deref()), (IfTaken::Resume, Some("s3://m/x.pt")));
    assert_eq!(start.payload, plain.payload);
    assert_eq!(ExecutionInput::parse(&start.to_json()).unwrap(), start);
    assert_eq!(ExecutionInput::parse(&plain.to_json()).unwrap(), plain);
    for (input, expected) in [
        (json!([]), "payload: found a list of 0 values"),
        (json!({"bucket": "b"}), "payload: key `file_limit` is missing"),
        (json!({"payload": payload(json!({"batchsize": 1}))}), "did you mean `batch_size`?"),
        (json!({"payload": payload(json!({})), "resume": true}), "unknown field `resume`"),
        (json!({"payload": payload(json!({})), "if_taken": "yes"}), "unknown variant `yes`"),
        (json!({"payload": 1}), "payload: found 1"),
    ] {
        let error = ExecutionInput::parse(&input).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn parses_requests_of_a_state_machine() {
    let plan = planned(1, 60, json!({}));
    let context = json!({
        "Id": "arn:aws:states:us-east-1:1:execution:m:n", "Name": "n", "StartTime": "2026-01-02T03:04:05.678Z",
        "RoleArn": "arn:aws:iam::1:role/r", "Input": {}, "RedriveCount": 2
    });
    let request = Request::parse(json!({"action": "initialize", "input": {"a": 1}, "execution": context})).unwrap();
    let Request::Initialize { execution, .. } = request else { panic!("{request:?}") };
    assert_eq!((execution.name.as_str(), execution.redrive_count), ("n", 2));
    let infer = json!({
        "action": "infer", "run": plan.without_tasks(), "task": plan.tasks[0],
        "state": {"Name": "Infer", "RetryCount": 1}
    });
    let Request::Infer { run, task, state } = Request::parse(infer.clone()).unwrap() else { panic!("{infer}") };
    assert_eq!((run, task, state.retry_count), (plan.without_tasks(), plan.tasks[0].clone(), 1));
    let mut other = infer;
    other["run"]["format_version"] = 2.into();
    for (request, expected) in
        [(other, "format_version 2 found, 1 expected"), (json!({"action": "dance"}), "dance"), (json!(1), "1")]
    {
        let error = Request::parse(request).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("deploy both again"), "{error}");
    }
}

#[test]
fn run_state_carries_the_map_settings_of_the_payload() {
    let changes = json!({"max_concurrency": 7, "tolerated_failure_percentage": "12.5"});
    let state = RunState::new(&planned(3, 60, changes), items_key(), 2, &Execution::default());
    assert_eq!((state.max_concurrency, state.tolerated_failure_percentage, state.tasks_left), (7, 12.5, 2));
    assert_eq!(state.items.key, "result-partition-100MB/step4_1GB/items.json");
    let state = RunState::new(&planned(3, 60, json!({})), items_key(), 3, &Execution::default());
    assert_eq!(serde_json::to_value(&state).unwrap()["tolerated_failure_percentage"].to_string(), "100.0");
}
