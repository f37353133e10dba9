//! Folders with odd names and hidden copies, output paths that are no regular files, and clusters with their own ways.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use support::{Sandbox, cosmicai, error_of};

/// Paths in the first column of a catalogue, each once.
fn files(catalogue: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(catalogue).into_owned();
    let mut files: Vec<String> = text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect();
    files.dedup();
    files.iter().map(|path| path.rsplit_once("/").unwrap().1.to_owned()).collect()
}

#[test]
fn hidden_copies_are_no_inputs_of_any_command() {
    let sandbox = Sandbox::with_partitions("cutouts", 2, 2);
    let folder = sandbox.path("sky/cutouts");
    fs::create_dir(folder.join(".ipynb_checkpoints")).unwrap();
    for copy in [".ipynb_checkpoints/1-checkpoint.pt", "._1.pt", ".2.pt"] {
        fs::copy(folder.join("1.pt"), folder.join(copy)).unwrap();
    }
    let done = cosmicai().arg("predict").arg("--model").arg(sandbox.model()).arg(&folder).assert().success();
    assert_eq!(files(&done.get_output().stdout), ["1.pt", "2.pt"]);
    // A hidden file that the user names is predicted.
    let named = folder.join(".2.pt");
    cosmicai().arg("predict").arg("--model").arg(sandbox.model()).arg(&named).assert().success();
    let out = sandbox.path("parts");
    fs::create_dir_all(out.join(".ipynb_checkpoints")).unwrap();
    fs::copy(&named, out.join(".ipynb_checkpoints/9-checkpoint.pt")).unwrap();
    cosmicai().arg("split").arg(folder.join("1.pt")).args(["--size", "1GB", "--out"]).arg(&out).assert().success();
}

#[test]
fn odd_names_are_passed_over_with_exit_status_1() {
    let sandbox = Sandbox::with_partitions("cutouts", 1, 2);
    let folder = sandbox.path("sky/cutouts");
    fs::copy(folder.join("1.pt"), folder.join(OsStr::from_bytes(b"caf\xe9.pt"))).unwrap();
    symlink(&folder, folder.join("loop")).unwrap();
    let done = cosmicai().arg("predict").arg("--model").arg(sandbox.model()).arg(&folder).assert().code(1);
    assert_eq!(files(&done.get_output().stdout), ["1.pt"]);
    let messages = String::from_utf8_lossy(&done.get_output().stderr).into_owned();
    assert!(messages.contains("passed over") && messages.contains("caf\\xE9.pt`: its name is not UTF-8"), "{messages}");
    assert!(messages.contains("loop`: a link to a folder above it"), "{messages}");
}

#[test]
fn split_never_replaces_its_input() {
    let sandbox = Sandbox::with_partitions("cutouts", 1, 8);
    let input = sandbox.path("sky/cutouts/1.pt");
    let before = fs::read(&input).unwrap();
    let other = sandbox.path("link.pt");
    symlink(&input, &other).unwrap();
    for input in [&input, &other] {
        let mut command = cosmicai();
        command.arg("split").arg(input).args(["--size", "40KB", "--out"]).arg(sandbox.path("sky/cutouts"));
        let error = error_of(&mut command);
        assert!(error.contains("--out would replace the input"), "{error}");
    }
    assert_eq!(fs::read(&input).unwrap(), before);
}

#[test]
fn paths_that_are_not_utf8_are_printed_and_written() {
    let sandbox = Sandbox::with_partitions("cutouts", 1, 2);
    let name = |ending: &str| sandbox.path("").join(OsStr::from_bytes(&[b"o\xff.", ending.as_bytes()].concat()));
    let model = sandbox.model();
    cosmicai().args(["simulate", "--count", "1", "--out"]).arg(name("pt")).assert().success();
    cosmicai().arg("convert").arg(&model).arg("--out").arg(name("safetensors")).assert().success();
    cosmicai().args(["model-init", "--demo", "--format", "json", "--out"]).arg(name("demo")).assert().success();
    let mut command = cosmicai();
    command.args(["--format", "json", "predict", "--model"]).arg(&model).arg(sandbox.path("sky/cutouts"));
    let done = command.arg("--out").arg(name("csv")).assert().success();
    let report: Value = serde_json::from_slice(&done.get_output().stdout).unwrap();
    assert!(report["out"].as_str().unwrap().contains("o\u{fffd}.csv"), "{report}");
    for ending in ["pt", "safetensors", "demo", "csv"] {
        assert!(name(ending).exists(), "{ending}");
    }
}

/// Commands of SLURM that a cluster might have, in a folder, and a payload for them.
struct FakeCluster {
    sandbox: Sandbox,
    bin: PathBuf,
}

impl FakeCluster {
    fn new(sbatch: &str, squeue: &str) -> Self {
        let sandbox = Sandbox::with_partitions("10MB", 1, 1);
        let bin = sandbox.path("bin");
        fs::create_dir(&bin).unwrap();
        let config = "ClusterName = fake\nMaxArraySize = 1001\nSLURM_VERSION = 23.11.4";
        let scontrol = format!(
            "echo \"scontrol clusters=$SLURM_CLUSTERS $*\" >> \"$0.log\"\n\
             [ \"$1 $2\" = 'show config' ] && {{ echo '{config}'; exit; }}\necho 'Invalid job id specified' >&2; exit 1"
        );
        let log = "echo \"clusters=$SLURM_CLUSTERS $*\" >> \"$0.log\"\n";
        for (name, body) in [
            ("sbatch", format!("{log}cat > /dev/null\ncase \"$*\" in *--test-only*) exit 0;; esac\n{sbatch}")),
            ("squeue", format!("{log}{squeue}")),
            ("scancel", log.to_owned()),
            ("scontrol", scontrol),
            ("sacct", "exit 0".to_owned()),
        ] {
            let path = bin.join(name);
            fs::write(&path, format!("#!/bin/bash\n{body}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let model = sandbox.model();
        fs::copy(&model, sandbox.path("sky/model.safetensors")).unwrap();
        let payload = json!({
            "bucket": "sky", "data_bucket": "sky", "data_prefix": "10MB", "file_limit": 1, "batch_size": 1,
            "model": "model.safetensors", "result_path": "res"
        });
        fs::write(sandbox.path("pay.json"), payload.to_string()).unwrap();
        Self { sandbox, bin }
    }

    fn run(&self, arguments: &[&str], clusters: Option<&str>) -> Output {
        let mut command = cosmicai();
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env_remove("SLURM_CLUSTERS").env_remove("SBATCH_CLUSTERS");
        if let Some(clusters) = clusters {
            command.env("SLURM_CLUSTERS", clusters);
        }
        command.arg("run").arg(self.sandbox.path("pay.json")).arg("--store").arg(self.sandbox.path(""));
        command.args(["--executor", "slurm"]).args(arguments).output().unwrap()
    }

    fn log(&self, program: &str) -> String {
        fs::read_to_string(self.bin.join(format!("{program}.log"))).unwrap_or_default()
    }

    fn results(&self) -> PathBuf {
        self.sandbox.path("sky/res")
    }
}

fn messages(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_job_is_followed_although_sbatch_greets() {
    let cluster =
        FakeCluster::new("echo '   Welcome'; echo '--> Verifying access to the queue...OK'; echo 101", "exit 0");
    let output = cluster.run(&[], None);
    assert!(messages(&output).contains("job 101 on cluster fake"), "{}", messages(&output));
    let submission = fs::read(cluster.results().join("job/submission.json")).unwrap();
    let submission: Value = serde_json::from_slice(&submission).unwrap();
    assert_eq!(submission["arrays"][0]["id"], "101");
}

#[test]
fn an_answer_without_an_id_is_looked_up_by_name() {
    // squeue knows one more job after each submission.
    let sbatch = "echo x >> \"$0.count\"; echo Welcome";
    let squeue = "n=$(cat \"${0%squeue}sbatch.count\" 2>/dev/null | wc -l)\n\
                  echo 'CLUSTER: fake'; for i in $(seq 1 $n); do echo \"20$i 20$i\"; done";
    let cluster = FakeCluster::new(sbatch, squeue);
    let output = cluster.run(&[], None);
    assert!(messages(&output).contains("job 201 on cluster fake"), "{}", messages(&output));
    assert!(cluster.log("squeue").contains("--name cosmicai-"), "{}", cluster.log("squeue"));
}

#[test]
fn a_run_whose_job_may_have_been_submitted_is_kept() {
    for (sbatch, said) in [
        ("echo Welcome", "cannot read a job id from sbatch's output: `Welcome`"),
        ("echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1", "Socket timed out"),
    ] {
        let cluster = FakeCluster::new(sbatch, "exit 0");
        let output = cluster.run(&[], None);
        let error = messages(&output);
        assert!(error.contains("a job may have been submitted: ") && error.contains(said), "{error}");
        assert!(!error.contains("no job was submitted"), "{error}");
        assert!(cluster.results().join("plan.json").exists(), "the folder of the run is kept");
        assert!(cluster.log("scancel").contains("--name cosmicai-"), "{}", cluster.log("scancel"));
    }
    let cluster = FakeCluster::new("echo 'sbatch: error: invalid partition' >&2; exit 1", "exit 0");
    let error = messages(&cluster.run(&[], None));
    assert!(error.contains("no job was submitted") && error.contains("invalid partition"), "{error}");
    assert!(!cluster.results().join("plan.json").exists(), "the folder is free again");
}

#[test]
fn the_cluster_is_named_to_every_command() {
    for (arguments, variable) in [(&["--clusters", "west"][..], None), (&[][..], Some("west"))] {
        let cluster = FakeCluster::new("echo '101;west'", "exit 0");
        let output = cluster.run(arguments, variable);
        assert!(messages(&output).contains("job 101 on cluster west"), "{}", messages(&output));
        for program in ["sbatch", "scancel", "scontrol"] {
            let log = cluster.log(program);
            assert!(!log.is_empty() && log.lines().all(|line| line.contains("clusters=west")), "{program}: {log}");
        }
        assert!(cluster.log("sbatch").contains("--clusters=west"));
    }
    let cluster = FakeCluster::new("echo 101", "exit 0");
    let error = messages(&cluster.run(&[], Some("west,east")));
    assert!(error.contains("expected the name of one cluster"), "{error}");
    assert!(!Path::new(&cluster.bin.join("sbatch.log")).exists(), "nothing was submitted");
}

/// Answers every request with 404. Returns the address and the lines of the requests.
#[cfg(feature = "aws")]
fn empty_server() -> (String, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    use std::io::{BufRead, BufReader, Write};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = lines.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            seen.lock().unwrap().extend(head.next());
            head.find(String::is_empty);
            _ = stream.write_all(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (address, lines)
}

#[cfg(feature = "aws")]
#[test]
fn the_address_of_s3_comes_from_the_services_of_the_profile() {
    let folder = tempfile::tempdir().unwrap();
    let (of_s3, of_all, of_variable) = (empty_server(), empty_server(), empty_server());
    let config = folder.path().join("config");
    let text = format!(
        "[profile lab]\nregion = us-east-1\nservices = lab\nendpoint_url = {}\naws_access_key_id = x\n\
         aws_secret_access_key = y\n\n[services lab]\ns3 =\n  endpoint_url = {}\n",
        of_all.0, of_s3.0
    );
    fs::write(&config, text).unwrap();
    let read = |variables: &[(&str, &str)]| {
        let mut command = cosmicai();
        command.env("AWS_CONFIG_FILE", &config).env("AWS_PROFILE", "lab").envs(variables.iter().copied());
        let error = error_of(command.args(["inspect", "s3://sky/m.pt"]));
        assert!(error.contains("m.pt") && error.contains("there is no such object"), "{error}");
    };
    let count = |server: &(String, std::sync::Arc<std::sync::Mutex<Vec<String>>>)| server.1.lock().unwrap().len();
    read(&[]);
    assert!(count(&of_s3) > 0 && count(&of_all) == 0);
    assert!(of_s3.1.lock().unwrap()[0].contains(" /sky/m.pt "));
    let before = count(&of_s3);
    read(&[("AWS_ENDPOINT_URL_S3", &of_variable.0)]);
    assert!(count(&of_variable) > 0 && count(&of_s3) == before && count(&of_all) == 0);
}
