use super::*;
use crate::args::{Args, Command};

#[test]
fn command_line_of_a_benchmark_is_accepted_by_bench() {
    let isa: Isa = "scalar".parse().unwrap();
    let request = BenchRequest {
        model: Some("it's.pt".to_owned()),
        precision: Precision::ALL.to_vec(),
        threads: vec![1, 2],
        batch: vec![8, 256],
        seconds: 0.5,
        profile: true,
        isa,
    };
    let settings = Settings::from_environment().with_endpoint(Some("http://127.0.0.1:9000".to_owned()));
    let args = Args::of_line(&request.command_line(&settings, &request.precision, request.model.as_deref()));
    assert_eq!(args.endpoint_url.as_deref(), Some("http://127.0.0.1:9000"));
    let Command::Bench(options) = args.command else { panic!() };
    assert_eq!(options.request(isa), request);
}
