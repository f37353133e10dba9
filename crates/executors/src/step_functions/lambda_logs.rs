//! Log lines of the Lambda functions of an execution.

use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata;

use super::cloud::{Cloud, CloudError, Execution};

/// Largest number of lines that are read for one execution: ten for each of two attempts at ten thousand tasks.
const LINES_MAX: usize = 200_000;
/// Milliseconds after the end of an execution in which log lines are still read, because lines may be late. Lines
/// before its start are not read, because they may belong to an execution that it resumes.
const MARGIN_MS: i64 = 120_000;

/// Line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Time of the line, in milliseconds since 1970.
    pub milliseconds: i64,
    /// Text of the line.
    pub text: String,
}

/// Reads the log lines of an execution, in the order of their times. With `pattern`, only the lines that match it. A
/// log group that does not exist has no lines.
///
/// # Errors
/// The logs cannot be read, or have too many lines.
pub async fn lines(
    cloud: &Cloud,
    groups: &[String],
    execution: &Execution,
    pattern: Option<&str>,
) -> Result<Vec<Line>, CloudError> {
    let action = "read the logs";
    let mut lines = Vec::new();
    for group in groups {
        let request = cloud
            .logs()
            .filter_log_events()
            .log_group_name(group)
            .start_time(execution.milliseconds.0)
            .set_end_time(execution.milliseconds.1.map(|end| end + MARGIN_MS))
            .set_filter_pattern(pattern.map(str::to_owned));
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) if error.code() == Some("ResourceNotFoundException") => break,
                Err(error) => {
                    let message = error.message().map_or_else(|| error.to_string(), str::to_owned);
                    return Err(CloudError::new(action, &format!("`{group}`: {message}")));
                }
            };
            for event in page.events() {
                if lines.len() == LINES_MAX {
                    return Err(CloudError::new(action, &format!("they have more than {LINES_MAX} lines, the limit")));
                }
                let text = event.message().unwrap_or_default().trim_end().to_owned();
                lines.push(Line { milliseconds: event.timestamp().unwrap_or_default(), text });
            }
        }
    }
    lines.sort_by_key(|line| line.milliseconds);
    Ok(lines)
}
