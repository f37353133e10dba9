use clap::Parser;

use super::*;
use crate::args::{Args, Command};

#[test]
fn command_line_that_continues_a_sweep_parses_back() {
    let words = "cosmicai sweep it's.toml --store /a/b --out /c/d --scale 0.5 --state-machine \
                 arn:aws:states:us-east-1:1:stateMachine:sky";
    let Command::Sweep(options) = Args::try_parse_from(words.split_whitespace()).unwrap().command else { panic!() };
    let settings = Settings::from_environment().with_endpoint(Some("http://127.0.0.1:9000".to_owned()));
    let args = Args::of_line(&options.command_line(&settings));
    assert_eq!(args.endpoint_url.as_deref(), Some("http://127.0.0.1:9000"));
    let Command::Sweep(again) = args.command else { panic!() };
    assert_eq!(format!("{again:?}"), format!("{options:?}"));
}

#[test]
fn rejects_scales_out_of_range() {
    assert_eq!(scale("0.02"), Ok(0.02));
    for wrong in ["0", "-1", "NaN", "inf", "1001", "small"] {
        assert!(scale(wrong).unwrap_err().contains("above 0"), "{wrong}");
    }
}
