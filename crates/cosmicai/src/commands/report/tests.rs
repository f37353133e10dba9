use clap::Parser;

use super::*;
use crate::args::{Args, Command};

#[test]
fn command_line_in_a_report_parses_back() {
    let words = "cosmicai report a/b it's.json -odd --out /c/d --title T --total-seconds a/b=30 --executor a/b=slurm \
                 --baseline old --prices p.toml --free-tier";
    let words = words.split_whitespace().map(|word| if word == "-odd" { "./-odd" } else { word });
    let Command::Report(options) = Args::try_parse_from(words).unwrap().command else { panic!() };
    let settings = Settings::from_environment().with_endpoint(Some("http://127.0.0.1:9000".to_owned()));
    let args = Args::of_line(&command(&options, &settings));
    assert_eq!(args.endpoint_url.as_deref(), Some("http://127.0.0.1:9000"));
    let Command::Report(again) = args.command else { panic!() };
    assert_eq!(format!("{again:?}"), format!("{options:?}"));
}
