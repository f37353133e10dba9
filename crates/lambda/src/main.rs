//! The worker on AWS Lambda: a request of Step Functions in, one of `pipeline`'s functions called, a few bytes out.
//!
//! This room is kept empty until the serverless executor moves in. What will live here is the matching of the request
//! {initialize, infer, summarize} and the Lambda runtime's loop, about a hundred lines; never a terminal, an argument
//! parser, a progress bar or the Step Functions SDK.

fn main() {}
