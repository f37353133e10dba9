//! Worker on AWS Lambda. It receives requests of a Step Functions state machine and calls `pipeline`.
//!
//! Each invocation receives one of three requests ([`Request`](records::request::Request)). It returns the state of the
//! run, or an error whose name decides whether the state machine retries ([`fault`]). The model stays in memory from
//! one invocation to the next ([`model_cache`]). Never here: a terminal, an argument parser, the Step Functions SDK.

mod environment;
mod fault;
mod handler;
mod log;
mod model_cache;

use std::time::SystemTime;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use pipeline::event::Stopwatch;
use serde_json::Value;

use environment::Environment;
use fault::Fault;
use handler::Handler;
use log::Log;

fn main() -> Result<(), Error> {
    let start = Stopwatch::start();
    let environment = Environment::read();
    // This thread waits for storage. The worker starts its own compute threads.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let handler = &Handler::new(&environment)?;
        Log::new("", environment.memory_mb).init(start.seconds());
        lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
            let remaining = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
            let log = Log::new(&event.context.request_id, environment.memory_mb);
            let outcome: Result<Value, Fault> = handler.handle(event.payload, remaining, &log).await;
            log.invocation(outcome.as_ref().err());
            outcome
        }))
        .await
    })
}
