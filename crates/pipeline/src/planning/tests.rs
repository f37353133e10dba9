use object_store::path::Path;
use proptest::prelude::*;
use records::compact_json;
use records::plan::MAX_PLAN_BYTES;
use records::request::{Execution, MAX_STATE_BYTES, RunState, STATE_RESERVE_BYTES, items};
use serde_json::{Value, json};

use super::*;

/// Limit of Step Functions on a list of tasks (see `deploy/lambda/README.md`).
const MAX_ITEMS_FILE_BYTES: usize = 8 << 30;

fn payload(extra: Value) -> Payload {
    let mut json = json!({
        "bucket": "b", "file_limit": 11, "batch_size": 256, "result_path": "r/", "data_bucket": "d",
        "data_prefix": "100MB/", "model": "m.pt"
    });
    json.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Payload::parse(json.to_string().as_bytes()).unwrap()
}

fn listing(keys: impl IntoIterator<Item = String>) -> Vec<StoredObject> {
    keys.into_iter()
        .map(|key| StoredObject { key, bytes: 9, e_tag: Some("\"1\"".into()), modified: "2025-08-05T19:03:04Z".into() })
        .collect()
}

fn numbered(count: usize) -> Vec<StoredObject> {
    listing((1..=count).map(|n| format!("100MB/{n}.pt")))
}

fn planned(payload: Payload, listing: Vec<StoredObject>) -> Result<Plan, PlanError> {
    let model = ModelIdentity { url: "s3://b/m.pt".into(), sha256: "00".into(), bytes: 3 };
    let origin = Origin { run_id: "1".into(), created: "now".into(), created_by: "test".into() };
    plan(payload, listing, model, origin)
}

fn data_map(plan: &Plan) -> Value {
    plan.study_payload()["data_map"].clone()
}

#[test]
fn sorts_lexicographically_by_default_and_naturally_on_request() {
    let plan = planned(payload(json!({})), numbered(130)).unwrap();
    let paths: Vec<Value> = plan.tasks.iter().map(Task::data_path).collect();
    let expected = ["1", "10", "100", "101", "102", "103", "104", "105", "106", "107", "108"];
    assert_eq!(paths, expected.map(|n| json!(format!("100MB/{n}.pt"))));
    let natural = planned(payload(json!({"order": "natural", "file_limit": "3"})), numbered(130)).unwrap();
    assert_eq!(data_map(&natural), json!({"0": "100MB/1.pt", "1": "100MB/2.pt", "2": "100MB/3.pt"}));
}

#[test]
fn spreads_files_over_ranks_like_the_cai_study() {
    let five = planned(payload(json!({"world_size": "2", "file_limit": 5})), numbered(5)).unwrap();
    assert_eq!(
        data_map(&five),
        json!({"0": ["100MB/1.pt", "100MB/2.pt", "100MB/3.pt"], "1": ["100MB/4.pt", "100MB/5.pt"]})
    );
    let two = planned(payload(json!({"world_size": 3})), numbered(2)).unwrap();
    assert_eq!(data_map(&two), json!({"0": "100MB/1.pt", "1": "100MB/2.pt", "2": null}));
    assert_eq!(two.study_payload()["world_size"], 3);
}

#[test]
fn repeats_the_files_round_after_round() {
    let plan = planned(payload(json!({"repeat": "3", "file_limit": 2})), numbered(5)).unwrap();
    let paths: Vec<Value> = plan.tasks.iter().map(Task::data_path).collect();
    assert_eq!(paths, ["1", "2", "1", "2", "1", "2"].map(|n| json!(format!("100MB/{n}.pt"))));
    let shared = planned(payload(json!({"repeat": 2, "file_limit": 2, "world_size": 3})), numbered(2)).unwrap();
    assert_eq!(data_map(&shared), json!({"0": ["100MB/1.pt", "100MB/2.pt"], "1": "100MB/1.pt", "2": "100MB/2.pt"}));
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(Plan::parse(json.to_string().as_bytes()).unwrap(), plan);
    let error = planned(payload(json!({"repeat": 500_001})), numbered(2)).unwrap_err().to_string();
    assert!(error.contains("`repeat`: 2 files, 500001 times"), "{error}");
    let once = planned(payload(json!({"repeat": 1})), numbered(2)).unwrap();
    assert_eq!(once.tasks, planned(payload(json!({})), numbered(2)).unwrap().tasks);
}

#[test]
fn plans_only_partitions() {
    let names = ["1.pt", "README.md", "sub/4.pt", "5.pt.tmp", "6.PT"];
    let plan = planned(payload(json!({})), listing(names.map(|name| format!("100MB/{name}")))).unwrap();
    assert_eq!(data_map(&plan), json!({"0": "100MB/1.pt", "1": "100MB/sub/4.pt"}));
    let none = planned(payload(json!({})), listing(["100MB/x".to_owned()])).unwrap_err().to_string();
    assert!(none.contains("none of the 1 objects"), "{none}");
}

#[test]
fn plans_a_file_of_objects_with_its_partition() {
    let names = ["1.pt", "1.objects.parquet", "2.pt", "3.objects.parquet"];
    let plan = planned(payload(json!({})), listing(names.map(|name| format!("100MB/{name}")))).unwrap();
    let objects: Vec<Option<&str>> =
        plan.tasks.iter().map(|task| task.files[0].objects.as_ref().map(|objects| objects.key.as_str())).collect();
    assert_eq!(objects, [Some("100MB/1.objects.parquet"), None]);
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(Plan::parse(json.to_string().as_bytes()).unwrap(), plan);
    // Without a file of objects the key is absent, so plans of earlier versions stay equal.
    assert!(json["tasks"][1]["files"][0].get("objects").is_none());
    let only = planned(payload(json!({})), listing(["100MB/3.objects.parquet".to_owned()])).unwrap_err().to_string();
    assert!(only.contains("none of the 1 objects"), "{only}");
}

#[test]
fn reads_a_plan_back_and_rejects_malformed_plans() {
    let plan = planned(payload(json!({"world_size": 4})), numbered(6)).unwrap();
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(Plan::parse(json.to_string().as_bytes()).unwrap(), plan);
    let error_after = |change: &dyn Fn(&mut Value)| {
        let mut json = json.clone();
        change(&mut json);
        Plan::parse(json.to_string().as_bytes()).unwrap_err().to_string()
    };
    assert!(error_after(&|json| json["format_version"] = json!(2)).contains("format_version 2"));
    assert!(error_after(&|json| json["tasks"][1]["rank"] = json!(7)).contains("task 1 has rank 7"));
    for run_id in ["", "two\nlines", &"x".repeat(257)] {
        assert!(error_after(&|json| json["run_id"] = json!(run_id)).contains("run_id"));
    }
    assert!(error_after(&|json| json["payload"]["batch_size"] = json!("x")).contains("`batch_size`"));
    assert!(Plan::parse(b"{}").is_err() && Plan::parse(b"[1]").is_err() && Plan::parse(b"").is_err());
}

#[test]
fn lists_differences_that_prevent_resuming() {
    let plan = planned(payload(json!({})), numbered(3)).unwrap();
    let mut changed = numbered(3);
    changed[1].bytes = 10;
    assert_eq!(plan.differences(&planned(payload(json!({})), changed).unwrap()), Vec::<String>::new());
    let longer = planned(payload(json!({})), numbered(4)).unwrap();
    assert_eq!(plan.differences(&longer), ["3 tasks, not 4"]);
    let other = planned(payload(json!({"batch_size": 1})), listing(["100MB/7.pt".to_owned()])).unwrap();
    assert_eq!(plan.differences(&other), ["`batch_size`: 256, not 1", "rank 0: \"100MB/1.pt\", not \"100MB/7.pt\""]);
}

#[test]
fn identifies_a_version_by_its_time_if_it_has_no_e_tag() {
    let mut objects = numbered(1);
    objects[0].e_tag = None;
    let plan = planned(payload(json!({})), objects).unwrap();
    assert_eq!(plan.tasks[0].files[0].modified.as_deref(), Some("2025-08-05T19:03:04Z"));
}

#[test]
fn a_million_files_stay_within_every_size_limit() {
    for (files, key_bytes) in [(10_000, 60), (1_000_000, 60), (1_000_000, 1_024)] {
        let key = |file: usize| format!("100MB/{file:0>width$}.pt", width = key_bytes - "100MB/.pt".len());
        let mut objects = listing((0..files).map(key));
        for object in &mut objects {
            object.bytes = 104_926_220;
            object.e_tag = Some("\"0123456789abcdef0123456789abcdef-13\"".to_owned());
        }
        let model = ModelIdentity { url: "s3://b/m.pt".into(), sha256: "0".repeat(64), bytes: 64_000_000 };
        let origin = Origin { run_id: "x".repeat(80), created: "now".into(), created_by: "the tests".into() };
        let plan = plan(payload(json!({"file_limit": "1000000"})), objects, model, origin).unwrap();
        assert_eq!(plan.tasks.len(), MAX_TASKS.min(files));
        assert_eq!(plan.tasks.iter().map(|task| task.files.len()).sum::<usize>(), files);
        let list = items(&plan, &plan.tasks).unwrap();
        assert!(list.len() < MAX_ITEMS_FILE_BYTES);
        // With the longest possible keys, `prepare` rejects a plan of a million files.
        assert!(compact_json(&plan).len() < MAX_PLAN_BYTES as usize || key_bytes == 1_024);
        let items_key = "result-partition-100MB/step4_1GB/items.json".to_owned();
        let state = RunState::new(&plan, items_key, plan.tasks.len(), &Execution::default());
        assert!(compact_json(&state).len() < 8 << 10, "{}", compact_json(&state).len());
        let largest = plan.tasks.iter().map(|task| compact_json(task).len()).max().unwrap();
        let shared = compact_json(&plan.without_tasks()).len();
        assert!(largest + shared + STATE_RESERVE_BYTES <= MAX_STATE_BYTES, "{largest}");
    }
    let ranks = MAX_TASKS * (MAX_TASKS.to_string().len() + 1);
    assert!(ranks < MAX_STATE_BYTES, "the ranks that a Distributed Map collects have {ranks} bytes");
}

proptest! {
    /// A payload accepts exactly the folders that stores accept as keys.
    #[test]
    fn payloads_accept_the_folders_that_stores_accept(folder in "([a-zéß .]|/|\\.\\.|[\t\n\u{7f}%~#?*\"\\\\]){0,12}") {
        let mut json = json!({
            "bucket": "b", "file_limit": 1, "batch_size": 1, "data_bucket": "d", "data_prefix": "p", "model": "m.pt"
        });
        json["result_path"] = folder.as_str().into();
        let is_key = Path::parse(folder.trim_matches('/')).is_ok_and(|path| !path.is_root());
        let parsed = Payload::parse(json.to_string().as_bytes());
        prop_assert_eq!(parsed.is_ok(), is_key, "{:?}: {:?}", folder, parsed.err());
    }

    /// Every file goes to exactly one rank, in order. The numbers of files of two ranks differ by 1 at most.
    #[test]
    fn spread_assigns_every_file_once_and_evenly(files in 0_usize..60, workers in 1_usize..70) {
        let all: Vec<FileIdentity> = numbered(files).into_iter().map(FileIdentity::from).collect();
        let tasks = spread(all.clone(), workers);
        prop_assert_eq!(tasks.len(), workers);
        let shares: Vec<usize> = tasks.iter().map(|task| task.files.len()).collect();
        prop_assert!(shares.is_sorted_by(|a, b| a >= b) && shares[0] - shares[workers - 1] <= 1);
        prop_assert_eq!(tasks.into_iter().flat_map(|task| task.files).collect::<Vec<_>>(), all);
    }
}
