//! Tables of costs that several commands print.

use accounting::assumptions::ListedAssumption;

use crate::printer::table;

/// Formats assumptions as a table.
pub(crate) fn assumptions(assumptions: &[ListedAssumption]) -> String {
    let rows = assumptions.iter().map(|assumption| {
        let ListedAssumption { name, value, unit, source } = assumption;
        [(*name).to_owned(), format!("{value}"), (*unit).to_owned(), (*source).to_owned()]
    });
    table(["assumption (--assume NAME=VALUE)", "value", "unit", "source"], rows)
}
