//! Pattern of the names of cutouts: text with columns in braces, from which the key of each row's file is built.
//!
//! The value of a column is one part of a name. Values that would leave the folder (`..`, `/`) are rejected.

/// Placeholder in a pattern for the name of the band.
const BAND: &str = "band";

/// Parsed pattern, such as `cutouts/{object_id}-{band}.fits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Folder before the first column, as the user wrote it: a path or a URL.
    pub(super) folder: String,
    pieces: Vec<Piece>,
    /// True for the URL of a web server. Values after its `?` are escaped.
    is_web: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Column(String),
    Band,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let first = text.find('{').ok_or_else(|| {
            "the pattern has no column, so every object would have the same file; add one, as in \
             `cutouts/{object_id}.fits`"
                .to_owned()
        })?;
        let is_web = text.starts_with("http://") || text.starts_with("https://");
        let before_query = text[..first].split('?').next().filter(|_| is_web).unwrap_or(&text[..first]);
        let below = before_query.rfind('/').map_or(0, |slash| slash + 1);
        let folder = if below == 0 { "." } else { &text[..below] };
        let mut pieces = Vec::new();
        let mut rest = &text[below..];
        while let Some((literal, more)) = rest.split_once('{') {
            let (column, after) = more.split_once('}').ok_or_else(|| format!("`{{` without `}}` in `{text}`"))?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            pieces.push(match column.trim() {
                "" => return Err(format!("empty braces in `{text}`; expected the name of a column in them")),
                BAND => Piece::Band,
                column => Piece::Column(column.to_owned()),
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        if !pieces.iter().any(|piece| matches!(piece, Piece::Column(_))) {
            return Err(format!("`{text}` has no column except the band, so every object would have the same files"));
        }
        Ok(Self { folder: folder.to_owned(), pieces, is_web })
    }

    /// Returns true if each band has its own file.
    pub(super) fn has_bands(&self) -> bool {
        self.pieces.contains(&Piece::Band)
    }

    /// Names of the columns in the pattern.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column(column) => Some(column.as_str()),
            _ => None,
        })
    }

    /// Builds the name of a file below the folder. `value` returns the row's value of a column.
    pub(super) fn fill(&self, band: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => name += text,
                Piece::Band => name += band,
                Piece::Column(column) => {
                    let value = value(column).ok_or_else(|| format!("column `{column}` is empty"))?;
                    if self.is_web && name.contains('?') {
                        name += &escaped(&value);
                        continue;
                    }
                    let leads_out = value == "." || value == ".." || value.contains(['/', '\\']);
                    if leads_out || value.chars().any(char::is_control) {
                        let shown: String = value.chars().take(60).collect();
                        return Err(format!("column `{column}` is {shown:?}, which is not allowed in a file name"));
                    }
                    name += &value;
                }
            }
        }
        Ok(name)
    }
}

/// Escapes a value for the query of a URL, where `&`, `+` and `#` have a meaning.
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => text.push(byte.into()),
            byte => text += &format!("%{byte:02X}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(pattern: &str, value: &str) -> Result<String, String> {
        Pattern::parse(pattern)?.fill("r", |_| Some(value.to_owned()))
    }

    #[test]
    fn splits_a_pattern_into_a_folder_and_columns() {
        let pattern = Pattern::parse("s3://b/cutouts/{field}/{ id }-{band}.fits").unwrap();
        assert_eq!(pattern.folder, "s3://b/cutouts/");
        assert_eq!(pattern.columns().collect::<Vec<_>>(), ["field", "id"]);
        assert!(pattern.has_bands());
        let name = pattern.fill("g", |column| Some(format!("<{column}>"))).unwrap();
        assert_eq!(name, "<field>/<id>-g.fits");
        assert_eq!(Pattern::parse("{id}.fits").unwrap().folder, ".");
        assert_eq!(Pattern::parse("/x{id}").unwrap().folder, "/");
        assert!(!Pattern::parse("a/{id}.fits").unwrap().has_bands());
    }

    #[test]
    fn escapes_values_in_the_query_of_a_url() {
        let text = "http://h/api/cutout?path=a/b&name={name}&bands=ugriz";
        assert_eq!(Pattern::parse(text).unwrap().folder, "http://h/api/");
        assert_eq!(filled(text, "150.1").unwrap(), "cutout?path=a/b&name=150.1&bands=ugriz");
        assert_eq!(filled(text, "A&B +1#/é").unwrap(), "cutout?path=a/b&name=A%26B%20%2B1%23%2F%C3%A9&bands=ugriz");
        // In a name of a file, a question mark has no meaning.
        assert_eq!(filled("a?/{id}", "x&y").unwrap(), "x&y");
        assert_eq!(filled("s3://b/a?{id}", "x&y").unwrap(), "a?x&y");
    }

    #[test]
    fn rejects_malformed_patterns() {
        for (text, message) in [
            ("cutouts/a.fits", "the pattern has no column"),
            ("cutouts/{band}.fits", "no column except the band"),
            ("cutouts/{id.fits", "`{` without `}`"),
            ("cutouts/{}.fits", "name of a column"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn rejects_values_that_leave_the_folder() {
        for value in ["..", ".", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "a\nb"] {
            let error = filled("cutouts/{id}", value).unwrap_err();
            assert!(error.contains("not allowed in a file name"), "{value:?}: {error}");
        }
        assert_eq!(filled("cutouts/{id}.fits", "a..b").unwrap(), "a..b.fits");
        assert!(Pattern::parse("{id}").unwrap().fill("r", |_| None).unwrap_err().contains("`id` is empty"));
    }

    proptest! {
        #[test]
        fn never_panics_on_any_text(text in ".{0,40}", value in ".{0,10}") {
            if let Ok(name) = filled(&text, &value) {
                prop_assert!(!name.contains('\0') || text.contains('\0'));
            }
        }
    }
}
