use clap::{CommandFactory, Parser};

use super::*;
use crate::args::{Args, Command};

fn parsed(line: &CommandLine) -> (Options, Option<String>) {
    let args = Args::of_line(line);
    let Command::Run(options) = args.command else { panic!("{line}") };
    (options, args.endpoint_url)
}

#[test]
fn payload_in_the_help_is_valid() {
    let without_comments: String = PAYLOAD.lines().map(|line| line.split('#').next().unwrap()).collect();
    let payload = Payload::parse(without_comments.as_bytes()).unwrap();
    assert_eq!(payload.file_limit, 42);
}

/// Options with every value set that can be set together with the others of this executor.
fn every_option(executor: &str) -> Options {
    let common = "cosmicai run my_payload.json --store /scratch/it's --model s3://m/x.pt --precision bf16 --attempts 5 \
                  --budget 0.5 --forecast --forecast-from a/b --forecast-from c.json --prices p.toml \
                  --assume jitter=0.2 --assume cold_start_s=-1 --free-tier";
    let own = match executor {
        "slurm" => {
            "--clusters c2 --slurm-partition short --slurm-account sky --time 01:30:00 --cpus-per-task 4 --mem 1G --array-limit 5 \
             --array-size 7 --sbatch-extra=--qos=debug --sbatch-extra=--nice=5 --retry-memory-factor 2.5"
        }
        "step-functions" => "--state-machine arn:aws:states:us-east-1:1:stateMachine:sky",
        _ => "--workers 3 --threads 2",
    };
    let words = format!("{common} --executor {executor} {own}");
    let args = Args::try_parse_from(words.split_whitespace()).unwrap();
    let Command::Run(options) = args.command else { panic!("{words}") };
    options
}

#[test]
fn command_line_of_every_option_parses_back() {
    for executor in ["local", "slurm", "step-functions"] {
        let options = every_option(executor);
        let (again, endpoint) = parsed(&options.command_line(Some("http://127.0.0.1:9000")));
        assert_eq!(again, options);
        assert_eq!(endpoint.as_deref(), Some("http://127.0.0.1:9000"));
    }
}

/// Options that a line to resume a run need not repeat.
const NOT_REPEATED: [&str; 3] = ["help", "version", "format"];

/// A new option of `run` that [`Options::command_line`] forgets fails here.
#[test]
fn command_line_has_every_option_of_run() {
    let lines = ["local", "slurm", "step-functions"].map(|executor| {
        let mut options = every_option(executor);
        (options.resume, options.overwrite, options.plan_only, options.dry_run) = (true, true, true, true);
        options.stop_with_parent = true;
        options.command_line(Some("http://127.0.0.1:9000")).to_string()
    });
    let mut command = Args::command();
    // Gives each command the options of the whole program.
    command.build();
    let run = command.get_subcommands().find(|command| command.get_name() == "run").unwrap();
    let options: Vec<&str> =
        run.get_arguments().filter_map(clap::Arg::get_long).filter(|name| !NOT_REPEATED.contains(name)).collect();
    assert!(options.len() > 20 && options.contains(&"endpoint-url"), "{options:?}");
    for option in options {
        let is_there = |line: &String| {
            line.contains(&format!(" --{option} "))
                || line.contains(&format!("--{option}="))
                || line.ends_with(&format!(" --{option}"))
        };
        assert!(lines.iter().any(is_there), "--{option} is in none of {lines:?}");
    }
}

/// The line once lacked --endpoint-url, and sent users of another S3 server to AWS.
#[test]
fn command_to_resume_keeps_options_and_endpoint() {
    let settings = Settings::from_environment().with_endpoint(Some("http://127.0.0.1:9000".to_owned()));
    let options = Options { overwrite: true, ..every_option("slurm") };
    let (again, endpoint) = parsed(&options.command_to_resume(&settings));
    assert_eq!(again, Options { resume: true, ..every_option("slurm") });
    assert_eq!(endpoint.as_deref(), Some("http://127.0.0.1:9000"));
}
