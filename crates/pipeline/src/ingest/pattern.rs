//! The pattern of the cutouts' names: text with columns in braces in, the key of a row's file out.
//!
//! A value stands for one part of a name: what would lead out of the folder (`..`, `/`) is refused.

/// The name that stands for each of the five bands in turn.
const BAND: &str = "band";

/// `stamps/{object_id}-{band}.fits`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// The folder before the first column, as the person wrote it: a path or a URL.
    pub(super) folder: String,
    pieces: Vec<Piece>,
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
            "no column in it, so that every object would have the same file; name them by one: \
             `stamps/{object_id}.fits`"
                .to_owned()
        })?;
        let below = text[..first].rfind('/').map_or(0, |slash| slash + 1);
        let folder = if below == 0 { "." } else { &text[..below] };
        let mut pieces = Vec::new();
        let mut rest = &text[below..];
        while let Some((literal, more)) = rest.split_once('{') {
            let (column, after) = more.split_once('}').ok_or_else(|| format!("a `{{` without its `}}` in `{text}`"))?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            pieces.push(match column.trim() {
                "" => return Err(format!("`{{}}` in `{text}`: the name of a column is expected in the braces")),
                BAND => Piece::Band,
                column => Piece::Column(column.to_owned()),
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        if !pieces.iter().any(|piece| matches!(piece, Piece::Column(_))) {
            return Err(format!("no column but the band in `{text}`, so that every object would have the same files"));
        }
        Ok(Self { folder: folder.to_owned(), pieces })
    }

    /// Whether each band has a file of its own.
    pub(super) fn has_bands(&self) -> bool {
        self.pieces.contains(&Piece::Band)
    }

    /// The columns in it.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Column(column) => Some(column.as_str()),
            _ => None,
        })
    }

    /// The name of one file below the folder.
    pub(super) fn fill(&self, band: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => name += text,
                Piece::Band => name += band,
                Piece::Column(column) => {
                    let value = value(column).ok_or_else(|| format!("its `{column}` is empty"))?;
                    let leads_out = value == "." || value == ".." || value.contains(['/', '\\']);
                    if leads_out || value.chars().any(char::is_control) {
                        let shown: String = value.chars().take(60).collect();
                        return Err(format!("its `{column}` is {shown:?}, which is no part of a file's name: refused"));
                    }
                    name += &value;
                }
            }
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(pattern: &str, value: &str) -> Result<String, String> {
        Pattern::parse(pattern)?.fill("r", |_| Some(value.to_owned()))
    }

    #[test]
    fn a_pattern_is_a_folder_and_names_in_it() {
        let pattern = Pattern::parse("s3://b/stamps/{field}/{ id }-{band}.fits").unwrap();
        assert_eq!(pattern.folder, "s3://b/stamps/");
        assert_eq!(pattern.columns().collect::<Vec<_>>(), ["field", "id"]);
        assert!(pattern.has_bands());
        let name = pattern.fill("g", |column| Some(format!("<{column}>"))).unwrap();
        assert_eq!(name, "<field>/<id>-g.fits");
        assert_eq!(Pattern::parse("{id}.fits").unwrap().folder, ".");
        assert_eq!(Pattern::parse("/x{id}").unwrap().folder, "/");
        assert!(!Pattern::parse("a/{id}.fits").unwrap().has_bands());
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, said) in [
            ("stamps/a.fits", "no column in it"),
            ("stamps/{band}.fits", "no column but the band"),
            ("stamps/{id.fits", "without its"),
            ("stamps/{}.fits", "name of a column"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_value_never_leads_out_of_the_folder() {
        for value in ["..", ".", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "a\nb"] {
            assert!(filled("stamps/{id}", value).unwrap_err().contains("refused"), "{value:?}");
        }
        assert_eq!(filled("stamps/{id}.fits", "a..b").unwrap(), "a..b.fits");
        assert!(Pattern::parse("{id}").unwrap().fill("r", |_| None).unwrap_err().contains("`id` is empty"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_an_error(text in ".{0,40}", value in ".{0,10}") {
            if let Ok(name) = filled(&text, &value) {
                prop_assert!(!name.contains('\0') || text.contains('\0'));
            }
        }
    }
}
