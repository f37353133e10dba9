//! What the functions of an execution wrote into their logs.

use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata;

use super::cloud::{Cloud, CloudError, Execution};

/// The most lines that are read of one execution: ten for each of ten thousand tasks, tried twice.
const LINES_MAX: usize = 200_000;
/// Lines may bear a time after the end of an execution: so much more is read, in milliseconds. Nothing before its beginning,
/// where an execution that it resumes may lie.
const MARGIN_MS: i64 = 120_000;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was written, in milliseconds since 1970.
    pub milliseconds: i64,
    /// The line.
    pub text: String,
}

/// The lines that were written while an execution ran, by time; with `pattern` those that it matches. A log group that is
/// not there has no lines.
///
/// # Errors
/// Where they may not be read, or are too many.
pub async fn lines(
    cloud: &Cloud,
    groups: &[String],
    execution: &Execution,
    pattern: Option<&str>,
) -> Result<Vec<Line>, CloudError> {
    let action = "read the logs";
    let mut lines = Vec::new();
    for group in groups {
        let asked = cloud
            .logs()
            .filter_log_events()
            .log_group_name(group)
            .start_time(execution.milliseconds.0)
            .set_end_time(execution.milliseconds.1.map(|end| end + MARGIN_MS))
            .set_filter_pattern(pattern.map(str::to_owned));
        let mut pages = asked.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) if error.code() == Some("ResourceNotFoundException") => break,
                Err(error) => {
                    let said = error.message().map_or_else(|| error.to_string(), str::to_owned);
                    return Err(CloudError::new(action, &format!("`{group}`: {said}")));
                }
            };
            for event in page.events() {
                if lines.len() == LINES_MAX {
                    return Err(CloudError::new(action, &format!("more than {LINES_MAX} lines")));
                }
                let text = event.message().unwrap_or_default().trim_end().to_owned();
                lines.push(Line { milliseconds: event.timestamp().unwrap_or_default(), text });
            }
        }
    }
    lines.sort_by_key(|line| line.milliseconds);
    Ok(lines)
}
