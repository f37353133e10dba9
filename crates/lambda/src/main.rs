//! The worker on AWS Lambda: a request of a state machine in, one of `pipeline`'s functions called, a few bytes out.
//!
//! In: one of three requests ([`Request`](pipeline::request::Request)). Out: what is left of the run, or an error under
//! a name that tells the state machine whether to try again ([`fault`]). The model is kept from one invocation to the
//! next ([`kept`]). Never here: a terminal, an argument parser, the Step Functions SDK.

mod environment;
mod fault;
mod handler;
mod kept;
mod log;

use std::time::SystemTime;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use pipeline::event::Stopwatch;
use serde_json::Value;

use environment::Environment;
use fault::Fault;
use handler::Handler;
use log::Log;

fn main() -> Result<(), Error> {
    let beginning = Stopwatch::start();
    let environment = Environment::read();
    // Smaller than the one that is used elsewhere. Fails where there is one already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    // One thread waits for storage; those that predict are the worker's own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let handler = &Handler::new(&environment)?;
        Log::new("", environment.memory_mb).init(beginning.seconds());
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
