//! Progress bars on standard error.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::printer::write_message;
use crate::visible::visible;

/// Makes a bar that counts `what` up to `total` on a terminal, and shows nothing otherwise.
pub(crate) fn counting_bar(what: &str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{msg:>24} {wide_bar} {human_pos}/{human_len} eta {eta}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Makes a bar that counts `what` without a known total on a terminal, and shows nothing otherwise.
pub(crate) fn counting_spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Prints a message, above the bar if it is shown.
pub(crate) fn write_above(bar: &ProgressBar, text: &str) {
    if bar.is_hidden() {
        write_message(text);
    } else {
        bar.println(visible(text));
    }
}
