use pipeline::storage::StorageOptions;

use super::*;
use crate::args::{Args, Command};

/// One point for each executor, with every setting that becomes an option of its run.
const SWEEP: &str = r#"
[data]
bucket = "sky"
model = "m"
[slurm]
slurm_partition = "short"
slurm_account = "it's"
time = "01:00:00"
array_size = 7
sbatch_extra = ["--qos=debug", "--nice=5"]
[base]
partition = "1MB"
file_limit = 1
batch_size = 16
[[experiment]]
name = "here"
threads = 2
workers = 3
[[experiment]]
name = "cluster"
threads = 2
executor = "slurm"
workers = 5
memory = "1024MB"
[[experiment]]
name = "cloud"
executor = "step-functions"
memory = "3008MB"
"#;

#[test]
fn command_line_of_each_executor_is_accepted_by_run() {
    let machine = "arn:aws:states:us-east-1:1:stateMachine:sky";
    let sweep = Sweep::new(SWEEP, "stem", 1.0, Some(machine)).unwrap();
    let stores = Stores::open("memory:", StorageOptions::default()).unwrap();
    let lines = tempfile::NamedTempFile::new().unwrap();
    let settings = Settings::from_environment().with_endpoint(Some("http://127.0.0.1:9000".to_owned()));
    let starter = Starter {
        program: Path::new("cosmicai"),
        sweep: &sweep,
        store: "/scratch/it's",
        stores: &stores,
        claim: Claim::new(&sweep, &stores, lines.path()).unwrap(),
        state_machine: Some(machine),
        settings: &settings,
        payloads: PathBuf::new(),
    };
    let endings = [
        "--executor local --threads 2 --workers 3",
        "--executor slurm --cpus-per-task 2 --array-limit 5 --mem 1024M --slurm-partition short \
         --slurm-account 'it'\\''s' --time 01:00:00 --array-size 7 --sbatch-extra=--qos=debug --sbatch-extra=--nice=5",
        "--executor step-functions --state-machine arn:aws:states:us-east-1:1:stateMachine:sky",
    ];
    for (point, ending) in sweep.points.iter().zip(endings) {
        let line = starter.command_line(point, Path::new("p/1.json"));
        let args = Args::of_line(&line);
        assert_eq!(args.endpoint_url.as_deref(), Some("http://127.0.0.1:9000"));
        assert!(matches!(args.command, Command::Run(_)));
        assert!(line.to_string().ends_with(ending), "{line}");
    }
    assert_eq!(sweep.points.len(), endings.len());
}
